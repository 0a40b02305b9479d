// Buttons that only a script can serve: they stand in the page hidden, and appear when the script has come.
// They are found by attribute when pressed, so that a `<main>` that was swapped needs nothing done again.

export function serveButtons(): void {
  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("button") : null;
    if (!button) return;
    if (button.dataset["print"] !== undefined) window.print();
    const words = button.dataset["copy"];
    if (words !== undefined) void copy(button, words);
  });
  showButtons(document);
}

export function showButtons(within: ParentNode): void {
  reveal(within, "button[data-print]");
  if ("clipboard" in navigator) reveal(within, "button[data-copy]"); // absent where the page came over plain http
}

function reveal(within: ParentNode, which: string): void {
  for (const button of within.querySelectorAll<HTMLButtonElement>(which)) button.hidden = false;
}

async function copy(button: HTMLButtonElement, words: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(words);
  } catch {
    return; // refused: the words are still there to be read
  }
  button.textContent = button.dataset["done"] ?? button.textContent;
}
