// What happens to a case while its page is open is said at once, not only when something is sent. The page stays as it
// is: somebody may be writing in it.

import { hear } from "./hearing";

export function sayWhenOvertaken(): void {
  const page = document.querySelector<HTMLElement>(".case[data-drawn]");
  const notice = page?.querySelector<HTMLElement>("#overtaken");
  const { number, version, drawn } = page?.dataset ?? {};
  if (!notice || !number || !drawn) return;
  const say = (): void => {
    notice.hidden = false;
  };
  hear(
    drawn,
    (told) => {
      if (told.number === number && told.version > Number(version)) say();
    },
    say,
  );
}
