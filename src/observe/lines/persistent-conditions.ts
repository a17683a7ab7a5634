/**
 * Most texts of one instance that are said in one poll, and that are remembered. A cloud that invents a new bad row for
 * each poll, none of them complete, would fill the memory.
 */
const MOST_TEXTS = 1000;

/**
 * What lasts from poll to poll of an instance, such as a row that cannot be read: said once, until a complete poll
 * goes by without it. Holds only instances of which there is such a thing to say.
 */
export class Lasting {
  readonly #said = new Map<string, { before: Set<string>; now: Set<string> }>();

  /** To be asked during a poll, before `polled`. */
  isNews(instance: string, text: string): boolean {
    const said = this.#said.get(instance) ?? { before: new Set(), now: new Set() };
    this.#said.set(instance, said);
    if (said.now.has(text) || said.now.size >= MOST_TEXTS) return false;
    said.now.add(text);
    return !said.before.has(text);
  }

  /** A poll has ended. One that was not complete does not show that anything is over. */
  polled(instance: string, complete: boolean): void {
    const said = this.#said.get(instance);
    if (!said) return;
    const before = complete ? said.now : union(said.before, said.now);
    if (before.size === 0) this.#said.delete(instance);
    else this.#said.set(instance, { before, now: new Set() });
  }

  forget(instance: string): void {
    this.#said.delete(instance);
  }
}

/** The texts of both, those of `now` last, and the last of these as far as there is room. */
function union(before: ReadonlySet<string>, now: ReadonlySet<string>): Set<string> {
  const texts = [...before].filter((text) => !now.has(text));
  return new Set([...texts, ...now].slice(-MOST_TEXTS));
}
