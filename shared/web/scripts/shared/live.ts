// The page of a case follows it: while somebody looks, the status is asked for again, and when it has changed and nobody
// is writing, the page is fetched as a form would fetch it and its `<main>` takes the place of the old one.

import { showButtons } from "./buttons";

const EVERY = 15_000; // ms

interface Status {
  state: string;
  timeline: unknown[];
  messages: unknown[];
}

export function followCase(): void {
  if (shown()) setInterval(() => void look(), EVERY);
}

async function look(): Promise<void> {
  const page = shown();
  if (!page || document.hidden || isWriting()) return;
  try {
    const status = await ask(page.number, page.code);
    const told = `${status.state} ${status.timeline.length} ${status.messages.length}`;
    if (told !== page.told) await renew(page.form, page.told);
  } catch {
    // Not now: the page stays as it is, and the next look may succeed.
  }
}

function shown(): { number: string; code: string; told: string; form: HTMLFormElement } | null {
  const page = document.querySelector<HTMLElement>("main [data-told]");
  const form = document.querySelector<HTMLFormElement>("nav form");
  const code = form?.querySelector<HTMLInputElement>("input[name=code]")?.value;
  const { number, told } = page?.dataset ?? {};
  return form && code && number && told ? { number, code, told, form } : null;
}

function isWriting(): boolean {
  const main = document.querySelector("main");
  if (!main || main.contains(document.activeElement) || main.querySelector("input:checked")) return true;
  return [...main.querySelectorAll("textarea")].some((field) => field.value !== "");
}

async function ask(number: string, code: string): Promise<Status> {
  const answer = await fetch(`/v1/feedback/${number}`, { headers: { Authorization: `Code ${code}` } });
  if (!answer.ok) throw new Error(String(answer.status));
  return (await answer.json()) as Status;
}

async function renew(form: HTMLFormElement, before: string): Promise<void> {
  const said = new URLSearchParams([...new FormData(form)].map(([name, value]) => [name, String(value)]));
  const language = document.documentElement.lang.slice(0, 2);
  const answer = await fetch(`/track?lang=${language}`, { method: "POST", body: said });
  if (!answer.ok) throw new Error(String(answer.status));
  const main = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
  if (!main || isWriting() || shown()?.told !== before) return;
  document.querySelector("main")?.replaceWith(main);
  showButtons(main);
}
