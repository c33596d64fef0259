// Keeps the page as new as the aggregator: an event says that something changed, and the page fetches itself.
// Without this script the page is complete; it is only as old as its last load.
"use strict";

(() => {
  const RETRY_MS = 5000;    // between tries when the stream is refused
  const QUIET_MS = 30000;   // without any event the page still refreshes this often
  let fetching = false;
  let again = false;
  let last = Date.now();

  const status = (state, words) => {
    const sign = document.getElementById("live");
    if (!sign) return;
    sign.dataset.state = state;
    sign.querySelector("span").textContent = words;
  };

  // Swaps the main part for a fresh one and keeps what the reader had opened and focused.
  const swap = (text) => {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    const from = fresh.getElementById("main");
    const to = document.getElementById("main");
    if (!from || !to) return;
    const open = new Set([...to.querySelectorAll("details[open][id]")].map((part) => part.id));
    const focused = document.activeElement && document.activeElement.id;
    for (const part of from.querySelectorAll("details[id]")) part.open = part.open || open.has(part.id);
    to.replaceChildren(...from.childNodes);
    document.title = fresh.title;
    const asOf = fresh.getElementById("as-of");
    if (asOf) document.getElementById("as-of").replaceChildren(...asOf.childNodes);
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  };

  // Whether a reader has begun to fill in a form: what they wrote is not swapped away.
  const writing = () => {
    const fields = [...document.querySelectorAll("#main input:not([type=hidden]), #main textarea")];
    return fields.some((field) => field.value !== field.defaultValue) || document.activeElement?.closest("#main form");
  };

  const refresh = async () => {
    if (writing()) return;
    if (fetching) { again = true; return; }
    if (document.hidden) { again = true; return; }
    fetching = true;
    again = false;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store" });
      if (answer.ok) { swap(await answer.text()); last = Date.now(); status("live", "live"); }
    } catch {
      status("lost", "not connected");
    } finally {
      fetching = false;
      if (again && !document.hidden) setTimeout(refresh, 1000);
    }
  };

  const connect = () => {
    const stream = new EventSource("/live");
    stream.addEventListener("open", () => { status("live", "live"); refresh(); });
    stream.addEventListener("change", refresh);
    stream.addEventListener("error", () => {
      status("lost", "reconnecting");
      if (stream.readyState === EventSource.CLOSED) setTimeout(connect, RETRY_MS);
    });
  };

  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  setInterval(() => { if (Date.now() - last > QUIET_MS) refresh(); }, 5000);
  connect();
})();
