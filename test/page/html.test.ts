import { expect, test } from "vitest";
import { html } from "../../src/page/html.ts";
import { nameOf, taskLink } from "../../src/page/parts.ts";

const HOSTILE = `"'><script>alert(1)</script>&amp;\`\u202e`;

test("a value is text, between tags and within an attribute", () => {
  const { text } = html`<p title="${HOSTILE}">${HOSTILE}</p>`;
  const escaped = "&#34;&#39;&#62;&#60;script&#62;alert(1)&#60;/script&#62;&#38;amp;&#96;\u202e";
  expect(text).toBe(`<p title="${escaped}">${escaped}</p>`);
});

test("what is HTML already stays, lists are put together, and nothing is nothing", () => {
  const items = [1, 2].map((each) => html`<li>${each}</li>`);
  expect(html`<ul>${items}${null}${undefined}${false}${0}</ul>`.text).toBe("<ul><li>1</li><li>2</li>0</ul>");
});

test("a name shows what is in it, on one line and of bearable length", () => {
  expect(nameOf("a\u202eb\nc").text).toBe("<bdi>a\\u{202e}b\\nc</bdi>");
  expect(nameOf("").text).toBe("<bdi>(no name)</bdi>");
  expect(nameOf("\ud800x").text).toBe("<bdi>\ufffdx</bdi>");
  expect(nameOf("x".repeat(10_000)).text).toHaveLength("<bdi></bdi>".length + 121);
});

test("an id leads to its task whatever it holds", () => {
  expect(taskLink("../", `a/../"b`, html`x`).text).toBe('<a href="../tasks/a%2F..%2F%22b">x</a>');
});
