// A link in a message carries number and code behind `#`, which browsers send to nobody. Here they are filled in, taken
// out of the address, and the form is sent.

export function openFromFragment(): void {
  const form = document.querySelector<HTMLFormElement>("form.follow");
  const carried = new URLSearchParams(location.hash.slice(1));
  const number = carried.get("number");
  const code = carried.get("code");
  if (!form || !number) return;
  history.replaceState(null, "", location.pathname + location.search);
  fill(form, "number", number);
  if (!code) return;
  fill(form, "code", code);
  form.requestSubmit();
}

function fill(form: HTMLFormElement, name: string, value: string): void {
  const field = form.elements.namedItem(name);
  if (field instanceof HTMLInputElement) field.value = value;
}
