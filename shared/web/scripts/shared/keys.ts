// Single keys. Each presses something that is on the page to be clicked; what is not there, or not possible, does nothing.

export type Pressed = (key: string) => boolean; // whether the key was one of the page's own

export function serveKeys(own: Pressed): void {
  const on = document.body.dataset["keys"] === "on";
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.keyCode === 229) return;
    const field = writing(event.target);
    if (field) whileWriting(event, field);
    else if (on && !event.ctrlKey && !event.metaKey && !event.altKey && !inDialog(event.target)) press(event, own);
  });
  if (on) buttons(own);
}

function press(event: KeyboardEvent, own: Pressed): void {
  if (event.key === "Enter" && event.target !== document.body) return; // what has the focus is pressed by the browser
  if (does(event.key, own)) event.preventDefault();
}

function does(key: string, own: Pressed): boolean {
  if (own(key)) return true;
  if (key === "?") return showAll();
  if (key === "/") return focus(document.querySelector<HTMLInputElement>("#q"));
  const where = document.querySelector(".row.current") ?? document;
  const found = [...where.querySelectorAll<HTMLElement>("[data-key]")].find((one) => one.dataset["key"] === key);
  found?.click();
  return found !== undefined;
}

function focus(field: HTMLInputElement | null): boolean {
  field?.focus();
  field?.select();
  return field !== null;
}

// While writing, only these two do anything.
function whileWriting(event: KeyboardEvent, field: HTMLElement): void {
  if (event.key === "Escape" && !inDialog(field)) field.blur();
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  const form = field.closest("form");
  if (!form || form.method !== "post") return;
  event.preventDefault();
  form.requestSubmit(form.querySelector<HTMLButtonElement>("button.main"));
}

function writing(target: EventTarget | null): HTMLElement | null {
  if (!(target instanceof HTMLElement)) return null;
  if (target instanceof HTMLInputElement) return /^(checkbox|radio|button|submit)$/.test(target.type) ? null : target;
  return target.matches("textarea, select") || target.isContentEditable ? target : null;
}

function inDialog(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest("dialog") !== null;
}

// The page of all keys, in front of this one.
function showAll(): boolean {
  const link = document.querySelector<HTMLAnchorElement>('.keys a[href^="/desk/shortcuts"]');
  if (link) void open(link);
  return link !== null;
}

async function open(link: HTMLAnchorElement): Promise<void> {
  let keys: Element | null = null;
  try {
    const answer = await fetch(link.href);
    if (answer.ok) keys = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#all-keys");
  } catch {
    // Not now: the link leads there as well.
  }
  if (!keys) return location.assign(link.href);
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-labelledby", "keys-title");
  dialog.append(keys);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("keydown", (event) => event.key === "?" && dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

// The hints below the page can be clicked too.
function buttons(own: Pressed): void {
  document.querySelector('.keys a[href^="/desk/shortcuts"]')?.addEventListener("click", (event) => {
    if (showAll()) event.preventDefault();
  });
  for (const item of document.querySelectorAll(".keys li")) {
    const key = item.querySelector("kbd:last-of-type")?.textContent ?? "";
    if (item.querySelector("a") || !key) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...item.childNodes);
    button.addEventListener("click", (event) => {
      const pressed = event.target instanceof Element ? event.target.closest("kbd")?.textContent : null;
      does(pressed || key, own);
    });
    item.append(button);
  }
}
