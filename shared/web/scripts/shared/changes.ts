// What happens while the queue is open: each row that is on the page is fetched anew alone, and above the list a link
// counts what has changed. The list itself is never asked for again by itself.

import { hear, type Told } from "./hearing";
import { renew, rowsOf } from "./queue";

export function listen(queue: HTMLElement): void {
  const changed = new Set<string>();
  hear(
    queue.dataset["drawn"] ?? "",
    (told) => void take(queue, changed, told),
    () => tell(queue, null),
  );
}

async function take(queue: HTMLElement, changed: Set<string>, told: Told): Promise<void> {
  const row = rowsOf(queue).find((one) => one.dataset["number"] === told.number);
  if (row && Number(row.dataset["version"]) >= told.version) return; // seen already
  if (row) row.classList.toggle("gone", !(await renew(row)));
  changed.add(told.number);
  tell(queue, changed.size);
}

function tell(queue: HTMLElement, count: number | null): void {
  const notice = queue.querySelector<HTMLElement>("#changed");
  const link = notice?.querySelector("a");
  if (!notice || !link || link.dataset["missed"] !== undefined) return;
  if (count === null) link.dataset["missed"] = "";
  link.textContent = count === null ? (link.dataset["all"] ?? "") : (link.dataset["some"] ?? "").replace("{n}", String(count));
  notice.hidden = false;
}
