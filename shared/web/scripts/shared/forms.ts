// A form is sent once, however often its button is pressed. The hidden key in it makes one case in any event; this only
// spares the second wait.

const PAUSE = 5_000; // ms after which it may be sent again: the first try may have been stopped

export function sendOnce(): void {
  let sent = new WeakMap<HTMLFormElement, number>();
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || form.method !== "post") return;
    const before = sent.get(form);
    if (before !== undefined && event.timeStamp - before < PAUSE) event.preventDefault();
    else sent.set(form, event.timeStamp);
  });
  window.addEventListener("pageshow", () => {
    sent = new WeakMap(); // gone back to, it can be sent again
  });
}
