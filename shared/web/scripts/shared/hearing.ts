// What happens to cases while a page is open, told by number. The page says when it was drawn: what happened between then
// and the first word of the stream is told as well, and after a break the browser asks for what it missed.

const AGAIN = 15_000; // ms until the next try after the stream was refused

export interface Told {
  number: string;
  version: number;
}

export function hear(drawn: string, told: (event: Told) => void, missed: () => void): void {
  let since = drawn;
  let source: EventSource;

  function begin(): void {
    source = new EventSource(`/v1/live?${new URLSearchParams({ since })}`);
    source.addEventListener("case", (event) => {
      const { data, lastEventId } = event as MessageEvent<string>;
      since = lastEventId || since;
      told(JSON.parse(data) as Told);
    });
    source.addEventListener("reload", missed);
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) setTimeout(begin, AGAIN);
    });
  }

  begin();
  window.addEventListener("pagehide", () => source.close());
}
