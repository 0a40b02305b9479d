// While writing: Ctrl Enter sends the form as its main button does, Esc leaves the field. Not while a word is composed.

export function sendByKey(): void {
  document.addEventListener("keydown", (event) => {
    const field = event.target;
    const writes = field instanceof HTMLTextAreaElement || field instanceof HTMLInputElement;
    if (!writes || !field.form || event.isComposing || event.altKey || event.shiftKey) return;
    if (event.key === "Escape") field.blur();
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    const button = field.form.querySelector<HTMLButtonElement>("button.main");
    if (!button) return;
    event.preventDefault();
    field.form.requestSubmit(button);
  });
}
