/*
 * Keeps the page as the server would render it now: whatever an event of the stream, or the time, has changed is put
 * in anew. There is no other state here, and nothing of the stream is rendered: the server does that.
 */

/** Without a user and a password that the address may have: requests that repeat them are refused by the browser. */
const here = location.origin + location.pathname;
const root = new URL(document.currentScript.dataset.root, here).href;
const live = document.getElementById("live");

const SOON_MS = 1_000;
const ANYWAY_MS = 15_000;
/** A server that takes its time is asked the less often. */
const REST_FACTOR = 10;

// Links in messages name a task behind the hash.
function followHash() {
  const [, id] = /^#\/tasks\/([^/]+)$/.exec(location.hash) ?? [];
  if (id === undefined) return;
  try {
    location.replace(`${root}tasks/${encodeURIComponent(decodeURIComponent(id))}`);
  } catch {
    // Not an id that anybody wrote.
  }
}
followHash();
addEventListener("hashchange", followHash);

let timer = null;
let due = 0;
let refreshing = false;
let restedAt = 0;

function refreshWithin(ms) {
  const now = performance.now();
  const at = Math.max(now + ms, restedAt);
  if (timer !== null && due <= at) return;
  clearTimeout(timer);
  due = at;
  timer = setTimeout(refresh, at - now);
}

async function refresh() {
  timer = null;
  if (refreshing || document.hidden) return;
  refreshing = true;
  const from = performance.now();
  try {
    const response = await fetch(here + location.search, { cache: "no-store" });
    if (!response.headers.get("content-type")?.startsWith("text/html"))
      throw new Error(`HTTP ${response.status}`);
    put(new DOMParser().parseFromString(await response.text(), "text/html"));
    lost(null);
  } catch (error) {
    lost(error);
  } finally {
    refreshing = false;
    restedAt = performance.now() + (performance.now() - from) * REST_FACTOR;
    refreshWithin(ANYWAY_MS);
  }
}

function put(fresh) {
  document.title = fresh.title;
  const main = document.getElementById("main");
  for (const part of main.querySelectorAll("[data-part]")) if (!fresh.getElementById(part.id)) part.remove();
  let last = null;
  for (const after of [...fresh.querySelectorAll("[data-part]")]) {
    const inMain = after.parentElement.id === "main";
    let part = document.getElementById(after.id);
    if (part === null || part.outerHTML !== after.outerHTML) {
      const adopted = document.adoptNode(after);
      if (part !== null) replace(part, adopted);
      else if (last === null) main.prepend(adopted);
      else last.after(adopted);
      part = adopted;
    }
    if (inMain) last = part;
  }
}

/** Whoever is at a link with the keyboard stays there. */
function replace(before, after) {
  const focused = before.contains(document.activeElement)
    ? document.activeElement.getAttribute("href")
    : null;
  before.replaceWith(after);
  if (focused === null) return;
  const again = [...after.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused);
  again?.focus({ preventScroll: true });
}

let lostAt = null;

/** A page that does not follow must not look as if it did. */
function lost(error) {
  if (error === null) lostAt = null;
  else lostAt ??= new Date();
  document.body.classList.toggle("lost", error !== null);
  live.textContent =
    error === null ? "live" : `No answer since ${lostAt.toLocaleTimeString()}: this is what was known then.`;
}

for (const form of document.querySelectorAll("form[data-ack]")) {
  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void acknowledge(form);
  });
}

async function acknowledge(form) {
  const said = form.querySelector("output");
  const [by, reason] = ["by", "reason"].map((name) => form.elements.namedItem(name).value.trim());
  try {
    const response = await fetch(root + form.dataset.ack, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ by: by || null, reason: reason || null }),
    });
    if (!response.ok) throw new Error((await response.json()).error);
    form.replaceChildren("Acknowledged.");
    refreshWithin(0);
  } catch (error) {
    said.textContent = `Not acknowledged: ${error.message}`;
  }
}

const events = new EventSource(`${root}api/v1/events/stream`);
events.onopen = () => refreshWithin(SOON_MS);
events.onmessage = () => refreshWithin(SOON_MS);
addEventListener("visibilitychange", () => {
  if (!document.hidden) refreshWithin(0);
});
refreshWithin(ANYWAY_MS);
