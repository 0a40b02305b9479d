// The queue: one row is current and unfolded; keys move it, `x` selects it. A row is fetched alone, never the list.

import type { Pressed } from "./keys";

const folded = new Map<string, Element>(); // how an unfolded row looked before
let turn = 0; // which row was asked for last

export function serveQueue(queue: HTMLElement): void {
  queue.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest("a.words") : null;
    const row = link?.closest<HTMLElement>(".row");
    if (!row || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    void unfold(queue, row);
  });
  queue.addEventListener("change", () => countSelected(queue));
  countSelected(queue);
}

export function keysOfQueue(queue: HTMLElement): Pressed {
  return (key) => {
    const rows = rowsOf(queue);
    const at = rows.findIndex((row) => row.matches(".current"));
    switch (key) {
      case "j":
        return go(queue, rows[at + 1]);
      case "k":
        return go(queue, rows[at - 1]);
      case ".":
        return go(queue, [...rows.slice(at + 1), ...rows.slice(0, at)].find((row) => "late" in row.dataset));
      case "x": {
        const box = rows[at]?.querySelector<HTMLInputElement>("input[type=checkbox]");
        box?.click();
        return box !== undefined && box !== null;
      }
      default:
        return false;
    }
  };
}

export function rowsOf(queue: HTMLElement): HTMLElement[] {
  return [...queue.querySelectorAll<HTMLElement>(".row")];
}

function go(queue: HTMLElement, row: HTMLElement | undefined): boolean {
  if (row) void unfold(queue, row);
  return true;
}

async function unfold(queue: HTMLElement, row: HTMLElement): Promise<void> {
  const mine = ++turn;
  for (const other of queue.querySelectorAll<HTMLElement>(".row.current")) if (other !== row) fold(other);
  row.classList.add("current"); // at once; its words follow
  row.scrollIntoView({ block: "nearest" });
  const number = row.dataset["number"] ?? "";
  const whole = await fetched(number, true);
  if (!whole || mine !== turn || !row.isConnected) return;
  if (!row.querySelector(".more")) {
    row.classList.remove("current");
    folded.set(number, row.cloneNode(true) as Element);
  }
  replace(row, whole);
  whole.scrollIntoView({ block: "nearest" });
  const here = new URL(location.href);
  here.searchParams.set("at", number);
  history.replaceState(null, "", here);
}

function fold(row: HTMLElement): void {
  const number = row.dataset["number"] ?? "";
  const before = folded.get(number);
  if (!row.querySelector(".more")) row.classList.remove("current");
  else if (before) replace(row, before.cloneNode(true) as Element);
  else {
    row.classList.remove("current");
    row.querySelector(".more")?.remove();
    void fetched(number, false).then((small) => {
      if (small && row.isConnected && !row.matches(".current")) replace(row, small);
    });
  }
}

// Brings one row up to date, unfolded if it is; false where it is not for this person to see any more.
export async function renew(row: HTMLElement): Promise<boolean> {
  const number = row.dataset["number"] ?? "";
  const fresh = await fetched(number, row.querySelector(".more") !== null);
  folded.delete(number);
  if (fresh && row.isConnected) replace(row, fresh);
  return fresh !== null;
}

async function fetched(number: string, whole: boolean): Promise<Element | null> {
  const asked = new URLSearchParams({ lang: document.documentElement.lang.slice(0, 2), ...(whole ? { at: "1" } : {}) });
  try {
    const answer = await fetch(`/desk/rows/${number}?${asked}`);
    if (!answer.ok || answer.redirected) return null;
    return new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(".row");
  } catch {
    return null;
  }
}

function replace(row: Element, other: Element): void {
  const [old, box] = [row, other].map((one) => one.querySelector<HTMLInputElement>("input[type=checkbox]"));
  if (old && box) box.checked = old.checked;
  row.replaceWith(document.adoptNode(other));
}

function countSelected(queue: HTMLElement): void {
  const bar = queue.querySelector<HTMLFormElement>("#bulk");
  const words = bar?.querySelector<HTMLElement>(".picked");
  if (!bar || !words) return;
  const count = queue.querySelectorAll(".row input:checked").length;
  words.dataset["none"] ??= words.textContent ?? "";
  words.textContent = count ? (bar.dataset["some"] ?? "").replace("{n}", String(count)) : words.dataset["none"];
  bar.classList.toggle("some", count > 0);
}
