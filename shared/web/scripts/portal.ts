// Citizens' pages. Everything works without this: it only shortens ways.

import { serveButtons } from "./shared/buttons";
import { sendOnce } from "./shared/forms";
import { openFromFragment } from "./shared/fragment";
import { followCase } from "./shared/live";

sendOnce();
serveButtons();
openFromFragment();
window.addEventListener("hashchange", openFromFragment);
followCase();
