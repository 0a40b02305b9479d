// A form is sent once, however often its button is pressed. The hidden key in it makes one case in any event;
// this only spares the second wait.

export function sendOnce(): void {
  const sent = new WeakSet<HTMLFormElement>();
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || form.method !== "post") return;
    if (sent.has(form)) event.preventDefault();
    else sent.add(form);
  });
  // Gone back to from the next page, it can be sent again.
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
}
