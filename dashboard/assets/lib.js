// What every view is made of. Text from the store goes into text nodes only; nothing here makes HTML of it.

/** el makes an element: el("td", {class: "num", onclick: f}, "text", node, [more]). */
export function el(name, props, ...children) {
  const e = document.createElement(name);
  for (const [k, v] of Object.entries(props || {})) {
    if (v === undefined || v === null || v === false) continue;
    if (k.startsWith("on")) e.addEventListener(k.slice(2), v);
    else if (k === "style") Object.assign(e.style, v);
    else if (k === "value" || k === "checked" || k === "disabled") e[k] = v;
    else e.setAttribute(k, v === true ? "" : v);
  }
  add(e, children);
  return e;
}

export function add(e, children) {
  for (const c of children.flat(Infinity)) {
    if (c === undefined || c === null || c === false) continue;
    e.append(c instanceof Node ? c : document.createTextNode(String(c)));
  }
  return e;
}

/** fill replaces what is in e. What had the focus has it afterwards, if there is such a thing again: views draw themselves anew. */
export function fill(e, ...children) {
  const was = e.contains(document.activeElement) ? document.activeElement : null;
  const able = "a[href], button, summary, input, select, [tabindex]";
  const at = was ? [...e.querySelectorAll(able)].indexOf(was) : -1;
  add((e.replaceChildren(), e), children);
  if (was && !e.contains(was)) {
    const same = (x) => x && x.tagName === was.tagName && x.textContent === was.textContent && x.getAttribute("href") === was.getAttribute("href");
    const all = [...e.querySelectorAll(able)];
    (same(all[at]) ? all[at] : all.find(same))?.focus({ preventScroll: true });
  }
  return e;
}

// ---- Bytes. A blob is a string, or {s, b64, len}: see blob.go.

const encoder = new TextEncoder();

export function bytesOf(blob) {
  if (typeof blob === "string") return encoder.encode(blob);
  if (blob.b64 === undefined) return encoder.encode(blob.s);
  return fromBase64(blob.b64);
}

export function fromBase64(text) {
  const bin = atob(text);
  const out = new Uint8Array(bin.length);
  for (let i = 0; i < bin.length; i++) out[i] = bin.charCodeAt(i);
  return out;
}

/** param is a blob as a query parameter: URL-safe base64. */
export function param(blob) {
  let bin = "";
  for (const b of bytesOf(blob)) bin += String.fromCharCode(b);
  return btoa(bin).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

export const unparam = (text) => fromBase64(text.replaceAll("-", "+").replaceAll("_", "/"));

/** blobOf is the other way round: text where it is text. */
export function blobOf(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    let bin = "";
    for (const b of bytes) bin += String.fromCharCode(b);
    return { b64: btoa(bin) };
  }
}

// Characters that are not seen, or that change how others are seen: controls, the marks and overrides of direction, joiners, fillers,
// tags; and of a pile of combining marks, which would cover the rows above and below, those past the second.
const unseen = /[\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\u{e0000}-\u{e0fff}]|(?<=\p{M}\p{M})\p{M}/gu;
const escape = (c) => {
  if (c === "\n" || c === "\t" || c === "\r") return { "\n": "\\n", "\t": "\\t", "\r": "\\r" }[c];
  const n = c.codePointAt(0), hex = n.toString(16);
  return n < 256 ? "\\x" + hex.padStart(2, "0") : n < 0x10000 ? "\\u" + hex.padStart(4, "0") : `\\u{${hex}}`;
};

/** plain is a blob as one line of text without surprises. */
export function plain(blob) {
  if (typeof blob === "string") return blob.replace(unseen, escape);
  if (blob.b64 === undefined) return blob.s.replace(unseen, escape);
  let out = "";
  for (const b of fromBase64(blob.b64)) out += b >= 32 && b < 127 ? String.fromCharCode(b) : "\\x" + b.toString(16).padStart(2, "0");
  return out;
}

/** shown is plain as nodes: escapes stand out, so that "\x00" as text and as a byte differ. most: characters. */
export function shown(blob, most = 400) {
  if (blob === undefined || blob === null) return "–";
  const nodes = [];
  if (typeof blob === "string" || blob.b64 === undefined) {
    let text = typeof blob === "string" ? blob : blob.s;
    const more = text.length > most;
    if (more) text = text.slice(0, most).toWellFormed();
    let at = 0;
    for (const m of text.matchAll(unseen)) {
      if (m.index > at) nodes.push(text.slice(at, m.index));
      nodes.push(el("span", { class: "esc" }, escape(m[0])));
      at = m.index + m[0].length;
    }
    if (at < text.length) nodes.push(text.slice(at));
    if (more && !blob.len) nodes.push(el("span", { class: "soft" }, " …"));
  } else {
    const text = plain(blob);
    nodes.push(el("span", { class: "esc" }, text.slice(0, most)));
    if (text.length > most && !blob.len) nodes.push(el("span", { class: "soft" }, " …"));
  }
  if (!nodes.length) nodes.push(el("span", { class: "soft" }, "(empty)"));
  if (blob.len) nodes.push(el("span", { class: "soft" }, ` … ${bytes(blob.len)} in all`));
  return nodes;
}

/** globbed is a blob as a pattern that matches it: what has no place in a field of text is any byte. */
export function globbed(blob) {
  if (typeof blob === "string") return blob.replace(/[*?[\]\\^-]/g, "\\$&").replace(/[\u0000-\u001f\u007f]/g, "?");
  let out = "";
  for (const b of bytesOf(blob)) out += b < 32 || b > 126 ? "?" : globbed(String.fromCharCode(b));
  return out;
}

export const isEmpty = (blob) => blob === undefined || blob === null || blob === "";

// ---- Numbers

const known = (n) => n !== undefined && n !== null && Number.isFinite(Number(n));
export const dash = "–";

export function count(n) {
  if (!known(n)) return dash;
  n = Number(n);
  const a = Math.abs(n);
  if (a >= 1e9) return trim(n / 1e9) + " G";
  if (a >= 1e6) return trim(n / 1e6) + " M";
  if (a >= 1e5) return trim(n / 1e3) + " k";
  return n.toLocaleString("en", { maximumFractionDigits: a < 10 ? 2 : a < 100 ? 1 : 0 });
}

const trim = (n) => n.toLocaleString("en", { maximumSignificantDigits: 3 });

export function bytes(n) {
  if (!known(n)) return dash;
  n = Number(n);
  for (const unit of ["B", "KB", "MB", "GB"]) {
    if (Math.abs(n) < 1024) return (unit === "B" ? Math.round(n) : trim(n)) + " " + unit;
    n /= 1024;
  }
  return trim(n) + " TB";
}

export const whole = (n) => (known(n) ? Number(n).toLocaleString("en", { maximumFractionDigits: 20 }) : dash);
export const rate = (n) => (known(n) ? count(n) + "/s" : dash);
export const percent = (n) => (known(n) ? (100 * n).toLocaleString("en", { maximumFractionDigits: 1 }) + " %" : dash);

/** span is a duration of ms. */
export function span(ms) {
  if (!known(ms)) return dash;
  const s = Math.abs(ms) / 1000;
  if (s < 1) return Math.round(ms) + " ms";
  if (s < 60) return trim(s) + " s";
  if (s < 3600) return Math.floor(s / 60) + " min" + (s % 60 >= 1 && s < 600 ? " " + Math.floor(s % 60) + " s" : "");
  if (s < 86400) return Math.floor(s / 3600) + " h" + (s % 3600 >= 60 ? " " + Math.floor((s % 3600) / 60) + " min" : "");
  return trim(s / 86400) + " d";
}

export function micros(us) {
  if (!known(us)) return dash;
  us = Number(us);
  if (us < 1000) return trim(us) + " µs";
  if (us < 1e6) return trim(us / 1000) + " ms";
  return trim(us / 1e6) + " s";
}

export const ttl = (ms) => (ms === -1 ? "no TTL" : ms === undefined ? dash : span(ms));

/** moment is a time, absolute in the title and relative in the text. */
export function moment(ms) {
  if (!known(ms) || ms <= 0) return dash;
  const d = new Date(Number(ms)), away = ms - Date.now();
  return el("time", { title: Number.isNaN(d.getTime()) ? "" : d.toISOString() }, away > 0 ? "in " + span(away) : span(-away) + " ago");
}

// ---- The server

export const me = { in: false, login: false, writable: false, queues: false, sessions: false, token: "", every: 2000 };

export class Refused extends Error {
  constructor(status, text) { super(text); this.status = status; }
}

/** get asks the API; post changes something. */
export async function get(path, params, signal) {
  const q = new URLSearchParams(Object.entries(params || {}).filter(([, v]) => v !== undefined));
  return answer(await reach("api/" + path + (q.size ? "?" + q : ""), { signal, credentials: "same-origin" }));
}

export async function post(path, body) {
  return answer(await reach("api/" + path, {
    method: "POST", credentials: "same-origin", body: JSON.stringify(body || {}),
    headers: { "Content-Type": "application/json", "X-Larder-Token": me.token },
  }));
}

/** reach is fetch that says in words that nobody answered. */
async function reach(url, options) {
  try { return await fetch(url, options); } catch (e) {
    throw e instanceof TypeError ? new Refused(0, "The server of this dashboard does not answer.") : e;
  }
}

async function answer(response) {
  let body;
  try { body = await response.json(); } catch { throw new Refused(response.status, "the server's answer was cut off or is no JSON"); }
  if (!response.ok) {
    if (response.status === 401 && me.in) { me.in = false; dispatchEvent(new Event("loggedout")); }
    throw new Refused(response.status, body.error || response.statusText);
  }
  return body;
}

// ---- Parts of pages

export function toast(text, bad) {
  const t = el("div", { class: bad ? "bad" : "" }, text);
  document.getElementById("toasts").append(t);
  setTimeout(() => t.remove(), bad ? 9000 : 4000);
}

/** confirmed asks before something is changed; it resolves to whether it may be. */
export function confirmed(title, text, act) {
  return new Promise((resolve) => {
    const yes = el("button", { class: "danger", value: "yes" }, act);
    const d = el("dialog", { "aria-labelledby": "ask" }, el("form", { method: "dialog" },
      el("h2", { id: "ask" }, title), el("p", {}, text), el("div", { class: "row" }, el("button", { value: "no", autofocus: true }, "Cancel"), yes)));
    d.addEventListener("submit", (e) => { e.preventDefault(); d.close(e.submitter.value); });
    d.addEventListener("close", () => { resolve(d.returnValue === "yes"); d.remove(); });
    document.body.append(d);
    d.showModal();
  });
}

/** act runs a change after a question, says how it went, and then does what is next. */
export async function act(title, text, button, change, next) {
  if (!await confirmed(title, text, button)) return;
  try {
    toast(await change());
    next();
  } catch (e) { toast(e.message, true); }
}

/**
 * table shows rows. A column is {name, cell(row), num, key, by(row)}: by makes it sortable. state keeps what it is sorted by
 * over the life of a view. Each row that can be opened has a link in it, which j and k walk along.
 */
export function table(columns, rows, { state = {}, empty = "Nothing here.", label } = {}) {
  if (!rows.length) return el("div", { class: "empty" }, empty);
  const body = el("tbody");
  const heads = columns.map((c, i) => el("th", { class: c.num ? "num" : "", scope: "col" }, c.by
    ? el("button", { type: "button", onclick: () => { state.up = state.column === i ? !state.up : !c.num; state.column = i; draw(); } }, c.name)
    : c.name === "" ? el("span", { class: "soft", "aria-label": "actions" }) : c.name));
  const draw = () => {
    const list = [...rows];
    const by = columns[state.column]?.by;
    if (by) {
      list.sort((a, b) => { const x = by(a) ?? -Infinity, y = by(b) ?? -Infinity; return (x < y ? -1 : x > y ? 1 : 0) * (state.up ? 1 : -1); });
    }
    heads.forEach((h, i) => (by && i === state.column ? h.setAttribute("aria-sort", state.up ? "ascending" : "descending") : h.removeAttribute("aria-sort")));
    fill(body, list.map((r) => el("tr", {}, columns.map((c) => el("td", { class: c.num ? "num" : c.key ? "key" : c.act ? "act" : c.tight ? "tight" : "" }, c.cell(r))))));
  };
  draw();
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label || "Table" }, el("table", { class: "t" }, el("thead", {}, el("tr", {}, heads)), body));
}

export const panel = (title, ...content) => el("section", { class: "panel" }, title instanceof Node ? title : title && el("div", { class: "title" }, el("h2", {}, title)), content);

export function bar(share, bad) {
  const w = Math.max(0, Math.min(1, share || 0));
  return el("div", { class: "meter" }, el("i", { class: bad ? "bad" : "", style: { width: 100 * w + "%" } }));
}

export const facts = (pairs) => el("div", { class: "facts" }, pairs.filter(Boolean).map(([k, v]) => el("div", {}, el("div", { class: "what" }, k), el("div", { class: "value" }, v))));
