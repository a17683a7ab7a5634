/** Controls, line ends, and marks that change the direction of what follows or are not seen. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu;

/** One line that shows what it holds. */
export const clean = (text: string): string => text.toWellFormed().replace(UNSEEN, " ").trim();
