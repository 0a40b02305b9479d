// The desk's case page and phone form. Everything works without this: it only shortens ways.

import { foretellWhileTyping } from "./shared/foretelling";
import { sendOnce } from "./shared/forms";

sendOnce();
foretellWhileTyping();
