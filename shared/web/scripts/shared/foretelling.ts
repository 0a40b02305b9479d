// While a call is taken down, the page says who will have it, as its button does: the form is sent to the desk, which
// keeps nothing, and of the page that comes back only what was foretold takes the place of the old.

const PAUSE = 600; // ms without a key

const FORETOLD = ["foretold", "similar"];

export function foretellWhileTyping(): void {
  const form = document.querySelector<HTMLFormElement>("form.phone-form");
  const button = form?.querySelector<HTMLButtonElement>("button[formaction]");
  if (!form || !button) return;
  let waiting = 0;
  let asking: AbortController | undefined;

  async function look(): Promise<void> {
    if (!form || !button) return;
    asking?.abort();
    asking = new AbortController();
    const said = new URLSearchParams([...new FormData(form)].map(([name, value]) => [name, String(value)]));
    try {
      const answer = await fetch(button.formAction, { method: "POST", body: said, signal: asking.signal });
      if (answer.ok && !answer.redirected) show(await answer.text());
    } catch {
      // Not now, or overtaken by what was typed since: the button is still there.
    }
  }

  form.addEventListener("input", (event) => {
    if (!(event.target instanceof Element) || !["text", "address"].includes(event.target.id)) return;
    clearTimeout(waiting);
    waiting = setTimeout(() => void look(), PAUSE);
  });
}

function show(page: string): void {
  const come = new DOMParser().parseFromString(page, "text/html");
  for (const id of FORETOLD) {
    const now = document.getElementById(id);
    const then = come.getElementById(id);
    if (now && then && !now.contains(document.activeElement)) now.replaceChildren(...then.childNodes);
  }
}
