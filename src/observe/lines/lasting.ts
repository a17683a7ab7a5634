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
    const isNews = !said.before.has(text) && !said.now.has(text);
    said.now.add(text);
    return isNews;
  }

  /** A poll has ended. One that was not complete does not show that anything is over. */
  polled(instance: string, complete: boolean): void {
    const said = this.#said.get(instance);
    if (!said) return;
    const before = complete ? said.now : new Set([...said.before, ...said.now]);
    if (before.size === 0) this.#said.delete(instance);
    else this.#said.set(instance, { before, now: new Set() });
  }

  forget(instance: string): void {
    this.#said.delete(instance);
  }
}
