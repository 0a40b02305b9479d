// The desk's case page and phone form. Everything works without this: it only shortens ways.

import { foretellWhileTyping } from "./shared/foretelling";
import { sendOnce } from "./shared/forms";
import { sendByKey } from "./shared/writing";

sendOnce();
sendByKey();
foretellWhileTyping();
