// What happens while the queue is open: told by number, each row that is on the page fetched anew alone, and above the
// list a link that counts what has changed. The list itself is never asked for again by itself.

import { renew, rowsOf } from "./queue";

const AGAIN = 15_000; // ms until the next try after the stream was refused

export function listen(queue: HTMLElement): void {
  const changed = new Set<string>();
  let begun = false;
  let source: EventSource;

  function begin(): void {
    source = new EventSource("/v1/live");
    source.addEventListener("begin", () => {
      if (begun) tell(queue, null); // something may have been missed in between
      begun = true;
    });
    source.addEventListener("case", (event) => void hear(queue, changed, JSON.parse((event as MessageEvent<string>).data)));
    source.addEventListener("reload", () => tell(queue, null));
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) setTimeout(begin, AGAIN);
    });
  }

  begin();
  window.addEventListener("pagehide", () => source.close());
}

interface Told {
  number: string;
  version: number;
}

async function hear(queue: HTMLElement, changed: Set<string>, told: Told): Promise<void> {
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
