// The desk's case page and phone form, beside the desk's own script. Everything works without this: it only shortens ways.

import { foretellWhileTyping } from "./shared/foretelling";
import { sayWhenOvertaken } from "./shared/overtaken";

foretellWhileTyping();
sayWhenOvertaken();
