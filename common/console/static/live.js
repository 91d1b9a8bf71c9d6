// Keeps the sections marked `data-live` up to date: asks for the same page again, and puts in what
// has changed. Nothing moves under the reader: a section with the focus waits, open details stay
// open, and tables keep where they were scrolled to.
"use strict";

(() => {
  const EVERY = 2000;
  const LONGEST = 30000;
  const button = document.getElementById("live-switch");
  let etag = "";
  let pause = EVERY;
  let timer = 0;

  const on = () => button.getAttribute("aria-pressed") === "true";

  function put(section, fresh) {
    const opened = [...section.querySelectorAll("details[open]")].map((it) => it.id);
    const scrolled = [...section.querySelectorAll(".table")].map((it) => it.scrollLeft);
    fresh.querySelectorAll("details").forEach((it) => { it.open = opened.includes(it.id); });
    section.replaceChildren(...fresh.childNodes);
    section.querySelectorAll(".table").forEach((it, k) => { it.scrollLeft = scrolled[k] || 0; });
    window.recommonsCharts.drawAll(section);
  }

  // What the server sent: this script runs before charts are drawn.
  const shown = new Map([...document.querySelectorAll("[data-live]")].map((it) => [it.id, it.innerHTML]));

  function take(text) {
    const page = new DOMParser().parseFromString(text, "text/html");
    let waiting = false;
    for (const fresh of page.querySelectorAll("[data-live]")) {
      const section = document.getElementById(fresh.id);
      if (section === null) { window.location.reload(); return false; }
      const now = fresh.innerHTML;
      if (shown.get(fresh.id) === now) continue;
      if (section.contains(document.activeElement)) { waiting = true; continue; }
      shown.set(fresh.id, now);
      put(section, document.importNode(fresh, true));
    }
    return !waiting;
  }

  async function ask() {
    const headers = { "recommons-live": "1" };
    if (etag) headers["if-none-match"] = etag;
    try {
      const answer = await fetch(window.location.href, { headers, cache: "no-store", redirect: "error" });
      if (answer.status === 401) { window.location.reload(); return; }
      pause = EVERY;
      if (answer.status === 200) {
        const text = await answer.text();
        if (take(text)) etag = answer.headers.get("etag") || "";
      }
    } catch {
      pause = Math.min(LONGEST, pause * 2); // the console is away: it may come back
    }
    plan();
  }

  function plan() {
    clearTimeout(timer);
    if (on() && !document.hidden) timer = setTimeout(ask, pause);
  }

  button.hidden = false;
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(!on()));
    plan();
  });
  document.addEventListener("visibilitychange", plan);
  plan();
})();
