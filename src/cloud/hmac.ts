import { hash } from "node:crypto";

/** Bytes of one block of SHA-256. */
const BLOCK = 64;
const DIGEST = 32;

/**
 * HMAC-SHA256 (RFC 2104) of ASCII texts with one key, in hexadecimal digits. By two hashes at once, because an Hmac
 * object for each call is one more thing outside the heap that the collector must ask about.
 */
export class Hmac {
  readonly #outer = Buffer.alloc(BLOCK + DIGEST);
  readonly #pad = Buffer.alloc(BLOCK);
  /** The inner block with the text behind it, kept for the next text of the same length. */
  #inner = Buffer.alloc(0);

  constructor(key: string) {
    const bytes = Buffer.from(key, "utf8");
    const block = Buffer.alloc(BLOCK);
    (bytes.length > BLOCK ? hash("sha256", bytes, "buffer") : bytes).copy(block);
    for (const [index, byte] of block.entries()) {
      this.#pad[index] = byte ^ 0x36;
      this.#outer[index] = byte ^ 0x5c;
    }
  }

  hex(text: string): string {
    if (this.#inner.length !== BLOCK + text.length) {
      this.#inner = Buffer.alloc(BLOCK + text.length);
      this.#pad.copy(this.#inner);
    }
    this.#inner.write(text, BLOCK, "latin1");
    this.#outer.write(hash("sha256", this.#inner), BLOCK, "hex");
    return hash("sha256", this.#outer);
  }
}
