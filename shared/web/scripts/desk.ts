// The desk. Everything works without this: keys press what can be clicked, rows unfold in place, and what changed is told.

import { listen } from "./shared/changes";
import { sendOnce } from "./shared/forms";
import { serveKeys } from "./shared/keys";
import { keysOfQueue, serveQueue } from "./shared/queue";

sendOnce();
const queue = document.querySelector<HTMLElement>(".queue[data-drawn]");
if (queue) {
  serveQueue(queue);
  listen(queue);
}
serveKeys(queue ? keysOfQueue(queue) : () => false);
