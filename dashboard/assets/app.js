// The frame: log-in, navigation, keys, and what a view lives in.
import { el, fill, get, post, me, toast, bytes } from "./lib.js";
import * as overview from "./overview.js";
import * as keys from "./keys.js";
import * as patterns from "./patterns.js";

// path, name, view, and the letter that follows g.
const places = [
  ["overview", "Overview", overview.overview, "o"], ["namespaces", "Namespaces", overview.namespaces, "n"], ["commands", "Commands", overview.commands, "c"],
  ["slow", "Slow log", overview.slow, "s"], ["keys", "Keys", keys.keys, "k"], null,
  ["caches", "Caches", patterns.caches, "a"], ["limits", "Limits", patterns.limits, "l"], ["queues", "Queues", patterns.queues, "q"],
  ["sessions", "Sessions", patterns.users, "u"], ["boards", "Leaderboards", patterns.boards, "b"], ["locks", "Locks", patterns.locks, "x"],
];
const others = { info: [overview.info, "overview"], key: [keys.key, "keys"], queue: [patterns.queue, "queues"], user: [patterns.user, "sessions"], board: [patterns.board, "boards"], lock: [patterns.lock, "locks"] };
const app = document.getElementById("app");
let view = null, where = null, dot = null;

// ---- A view: what a page may use, and what is cleaned up when it is left.

function makeView(main, args, params) {
  const abort = new AbortController(), closers = [], repaints = [], timers = new Set();
  let refresh = [], stopped = false, search = null, filter = "", draw = null, again = null;
  const head = el("div", { class: "head" }), root = el("div");
  fill(main, head, root);
  const v = {
    root, args, params, signal: abort.signal,
    head(title, ...more) { const h = el("h1", { tabindex: "-1" }, title); fill(head, h, more); document.title = h.textContent + " · Larder"; },
    fail(e) {
      if (abort.signal.aborted || e.name === "AbortError") return;
      if (e.status === 401) return;
      const n = el("div", { class: "note bad", role: "alert" }, e.message);
      root.querySelector(":scope > .note.bad[role]")?.remove();
      root.prepend(n);
      if (e.status === 0) v.up(false);
    },
    up(yes) { if (dot) dot.className = "dot " + (yes ? "up" : "down"); },
    where(text) { if (where && text) where.textContent = text; },
    onclose: (f) => closers.push(f), onrepaint: (f) => repaints.push(f), onrefresh: (f) => refresh.push(f),
    stop() { stopped = true; },
    async refresh() { stopped = false; for (const f of refresh) await f().catch(v.fail); if (draw) await draw().catch(v.fail); },
    /** wake is for a page that is seen again: what runs by itself does so at once. Lists that were walked through stay as they are. */
    async wake() { if (again && !stopped) await again(); },
    repaint() { repaints.forEach((f) => f()); },
    close() { abort.abort(); timers.forEach(clearTimeout); closers.forEach((f) => f()); },
    /** every runs f now and then every ms, while the page is seen. Its first failure shows, later ones until they pass. */
    async every(ms, f) {
      draw = refresh.length ? draw : f;
      again = async () => { try { await f(); root.querySelector(":scope > .note.bad[role]")?.remove(); v.up(true); } catch (e) { v.fail(e); } };
      const step = async () => {
        if (!document.hidden && !stopped) await again();
        if (!abort.signal.aborted) { const t = setTimeout(() => { timers.delete(t); step(); }, ms); timers.add(t); }
      };
      await step();
    },
    /** filter is a field for what is on the page already; search one that the store is asked for. */
    filter(label) {
      const i = el("input", { type: "search", placeholder: label, "aria-label": label, "data-search": true, oninput: () => { filter = i.value; v.refresh(); } });
      return [el("span", { class: "grow" }), i];
    },
    query: () => filter,
    search(label, value, go, usual, make) {
      const i = el("input", { type: "search", placeholder: label, "aria-label": label, value, "data-search": true, spellcheck: "false", autocapitalize: "off", style: { width: "min(340px, 60vw)" } });
      const f = el("form", { role: "search", onsubmit: (e) => { e.preventDefault(); go(); } }, i);
      search = { input: i, usual, make };
      f.input = i;
      const out = [el("span", { class: "grow" }), f];
      out.input = i;
      return out;
    },
    pattern() {
      const s = search?.input.value.trim() || "";
      return s === "" ? search?.usual : search?.make ? search.make(s) : s;
    },
  };
  return v;
}

async function route() {
  if (!me.in) return;
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [first, ...args] = path.split("/");
  const place = places.find((p) => p && p[0] === first), other = others[first];
  const run = place ? place[2] : other ? other[0] : overview.overview;
  const current = place ? first : other ? other[1] : "overview";
  for (const a of document.querySelectorAll("nav.side a")) { if (a.dataset.place === current) { a.setAttribute("aria-current", "page"); a.scrollIntoView({ block: "nearest", inline: "nearest" }); } else a.removeAttribute("aria-current"); }
  view?.close();
  const main = document.getElementById("main");
  const mine = view = makeView(main, args, new URLSearchParams(query || ""));
  main.scrollTop = 0;
  try { await run(mine); } catch (e) { mine.fail(e); }
}

// ---- Themes

function theme() {
  const now = document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  const next = now === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  try { localStorage.setItem("larder.theme", next); } catch { /* storage is off: it lasts until the page is left */ }
  view?.repaint();
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => view?.repaint());

// ---- Keys

let pending = null;
addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || !me.in || document.querySelector("dialog[open]")) return;
  const typing = e.target.closest?.("input, select, textarea");
  if (e.key === "Escape" && typing) { e.target.blur(); return; }
  if (typing) return;
  if (pending) {
    clearTimeout(pending);
    pending = null;
    document.body.classList.remove("keys");
    const p = places.find((p) => p && p[3] === e.key);
    if (p) { e.preventDefault(); location.hash = "#/" + p[0]; }
    return;
  }
  const links = () => [...document.querySelectorAll("#main tbody a")];
  const step = (by) => { const l = links(); if (l.length) l[Math.max(0, Math.min(l.length - 1, l.indexOf(document.activeElement) + by))].focus(); };
  switch (e.key) {
    case "g": pending = setTimeout(() => { pending = null; document.body.classList.remove("keys"); }, 1500); document.body.classList.add("keys"); break;
    case "/": { e.preventDefault(); const s = document.querySelector("#main [data-search]"); if (s) { s.focus(); s.select(); } else location.hash = "#/keys"; break; }
    case "?": help(); break;
    case "j": step(1); break;
    case "k": step(-1); break;
    case "r": view?.refresh(); break;
    case "t": theme(); break;
    case "Escape": { const c = document.querySelector("#main a.crumb"); if (c) location.hash = c.hash; break; }
  }
});

function help() {
  const d = el("dialog", { "aria-labelledby": "keys" }, el("form", { method: "dialog" }, el("h2", { id: "keys" }, "Keys"),
    el("dl", {}, [["/", "search"], ["j k", "down and up the rows, Enter opens"], ["r", "refresh"], ["t", "light or dark"], ["Esc", "leave a field, go up"], ["?", "this"], ...places.filter(Boolean).map((p) => ["g " + p[3], p[1]])]
      .map(([k, what]) => [el("dt", {}, k.split(" ").map((x) => [el("kbd", {}, x), " "])), el("dd", {}, what)])),
    el("div", { class: "row" }, el("button", { class: "primary" }, "Close"))));
  d.addEventListener("submit", (e) => { e.preventDefault(); d.close(); });
  d.addEventListener("close", () => d.remove());
  document.body.append(d);
  d.showModal();
}

// ---- Log-in and the frame

function logIn() {
  view?.close();
  view = null;
  app.className = "";
  const field = el("input", { type: "password", id: "password", autocomplete: "current-password", required: true });
  const said = el("p", { class: "bad", role: "alert" });
  const button = el("button", { class: "primary" }, "Log in");
  const form = el("form", {
    onsubmit: async (e) => {
      e.preventDefault();
      button.disabled = true;
      try { await post("login", { password: field.value }); await start(); } catch (err) { said.textContent = err.message; field.select(); } finally { button.disabled = false; }
    },
  }, el("label", { for: "password" }, "Password"), field, said, button);
  document.title = "Log in · Larder";
  fill(app, el("main", { id: "main", class: "panel login" }, el("img", { src: "icon.svg", alt: "" }), el("h1", {}, "Larder"), form));
  field.focus();
}

function frame() {
  app.className = "in";
  where = el("span", { class: "where" });
  dot = el("span", { class: "dot" });
  const links = places.map((p) => (p ? el("a", { href: "#/" + p[0], "data-place": p[0] }, p[1], el("kbd", { "aria-hidden": "true" }, p[3])) : el("h2", {}, "Patterns")));
  fill(app,
    el("header", { class: "top" }, el("a", { class: "brand", href: "#/overview" }, el("img", { src: "icon.svg", alt: "" }), "Larder"), el("span", { class: "where" }, dot, where),
      el("span", { class: "grow" }), !me.writable && el("span", { class: "tag", title: "Nothing can be changed here: see writable" }, "read-only"),
      el("button", { class: "icon", onclick: help, title: "Keys (?)", "aria-label": "Keyboard shortcuts" }, "?"),
      el("button", { class: "icon", onclick: theme, title: "Light or dark (t)", "aria-label": "Switch between light and dark" }, "◐"),
      me.login && el("button", { onclick: async () => { await post("logout").catch((e) => toast(e.message, true)); me.in = false; logIn(); } }, "Log out")),
    el("nav", { class: "side", "aria-label": "Views" }, links), el("main", { id: "main", tabindex: "-1" }));
}

async function start() {
  Object.assign(me, { token: "" }, await get("me"));
  if (!me.in) { logIn(); return; }
  frame();
  await route();
}

addEventListener("hashchange", route);
addEventListener("loggedout", logIn);
document.addEventListener("visibilitychange", () => { if (!document.hidden) view?.wake(); });
start().catch((e) => fill(app, el("main", { id: "main", class: "panel login" }, el("h1", {}, "Larder"), el("p", { class: "bad", role: "alert" }, e.message))));
