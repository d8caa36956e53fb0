// The key browser, and a key.
import { el, fill, get, post, panel, table, facts, shown, plain, param, unparam, blobOf, bytesOf, fromBase64, count, bytes, whole, span, ttl, act, toast, dash, me, isEmpty } from "./lib.js";

const types = ["", "string", "hash", "list", "set", "zset", "stream", "ReJSON-RL"];
const typeName = (t) => (t === "ReJSON-RL" ? "JSON" : t);

export const keyLink = (key, most) => key.len ? shown(key, 160) : el("a", { href: "#/key/" + param(key) }, shown(key, most ?? 160));

let lastList = "#/keys"; // where a key leads up to

export async function keys(view) {
  lastList = location.hash;
  const type = el("select", { "aria-label": "Type", onchange: () => go() }, types.map((t) => el("option", { value: t }, t === "" ? "all types" : typeName(t))));
  type.value = types.includes(view.params.get("type")) ? view.params.get("type") : "";
  const search = view.search("Pattern, such as user:*", view.params.get("match") || "", () => go());
  view.head("Keys", search, type);
  const state = {}, body = el("div");
  fill(view.root, body);
  const go = () => {
    const next = "#/keys?" + new URLSearchParams({ match: search.input.value, type: type.value });
    if (location.hash === next) view.refresh(); else location.hash = next;
  };
  let rows = [], cursor = "0", scanned = 0, total, running = 0;

  async function more() {
    const match = view.params.get("match") || "";
    // A word without wildcards is what a key contains; a pattern is a pattern.
    const pattern = match === "" || /[*?[]/.test(match) ? match : `*${match}*`;
    const want = rows.length + 100, mine = ++running;
    do {
      const page = await get("keys", { match: pattern, type: type.value, cursor }, view.signal);
      if (mine !== running) return; // a refresh has begun anew
      rows.push(...page.keys);
      ({ cursor, total } = page);
      scanned += page.scanned;
      draw(cursor !== "0" && rows.length < want);
    } while (cursor !== "0" && rows.length < want);
  }
  function draw(busy) {
    fill(body, panel("", table([
      { name: "Key", key: true, cell: (r) => keyLink(r.key), by: (r) => plain(r.key) },
      { name: "Type", cell: (r) => (r.type ? el("span", { class: "tag" }, typeName(r.type)) : el("span", { class: "soft", title: "The dashboard's user may not look at this key" }, "no access")), by: (r) => r.type },
      { name: "TTL", num: true, cell: (r) => (!r.type ? dash : r.ttl === -1 ? el("span", { class: "soft" }, "none") : span(r.ttl)), by: (r) => (r.ttl === -1 ? Infinity : r.ttl) },
      { name: "Memory", num: true, cell: (r) => bytes(r.bytes), by: (r) => r.bytes },
      me.writable && { name: "", act: true, cell: (r) => el("button", { class: "danger", "aria-label": "Delete " + plain(r.key).slice(0, 80), onclick: () => remove(r.key, () => { rows = rows.filter((x) => x !== r); draw(); }) }, "Delete") },
    ].filter(Boolean), rows, { state, label: "Keys", empty: busy ? "Looking…" : "No key matches." }),
    el("div", { class: "foot" }, el("span", {}, progress(rows.length, scanned, total, cursor, busy)), el("span", { class: "grow" }),
      cursor !== "0" && el("button", { disabled: busy, onclick: () => more().catch(view.fail) }, "More"))));
  }
  view.onrefresh(() => { rows = []; cursor = "0"; scanned = 0; return more(); });
  await more();
}

export function progress(found, scanned, total, cursor, busy) {
  const looked = total === undefined ? scanned : Math.min(scanned, total);
  if (cursor === "0") return `${whole(found)} found${total === undefined ? "" : " of " + whole(total) + " keys"}`;
  return `${whole(found)} found so far, ${whole(looked)}${total === undefined ? "" : " of " + whole(total)} keys looked at${busy ? "…" : ""}`;
}

const remove = (key, next) => act("Delete this key?", ["The key ", el("b", { class: "mono" }, shown(key)), " and its value go for good."], "Delete",
  async () => { const { deleted } = await post("key/delete", { key: param(key) }); return deleted ? "Deleted." : "It was gone already."; }, next);

export async function key(view) {
  const id = view.args[0], name = blobOf(unparam(id));
  const body = el("div"), top = el("div");
  view.head(el("span", {}, el("a", { class: "crumb", href: lastList }, "Keys"), " / ", el("span", { class: "mono" }, shown(name, 300))), el("span", { class: "grow" }),
    me.writable && el("button", { onclick: () => expire(name, f?.ttl, load) }, "Set TTL"),
    me.writable && el("button", { class: "danger", onclick: () => remove(name, () => { location.hash = lastList; }) }, "Delete"));
  fill(view.root, top, body);
  let f = null;
  async function load() {
    f = await get("key", { key: id }, view.signal);
    fill(top, panel("", facts([
      ["Type", el("span", { class: "tag ok" }, typeName(f.type))], ["TTL", f.ttl === -1 ? el("span", { class: "warn" }, "none") : ttl(f.ttl)], ["Memory", bytes(f.bytes)],
      f.length !== undefined && [f.type === "string" ? "Length" : "Elements", f.type === "string" ? bytes(f.length) : whole(f.length)],
      f.encoding && ["Encoding", f.encoding], f.idle !== undefined && ["Idle", span(1000 * f.idle)], f.freq !== undefined && ["Frequency", String(f.freq)],
    ])));
    const show = viewers[f.type];
    fill(body, f.problem ? panel("", el("div", { class: "empty" }, f.problem)) : show ? show(view, id, f) : panel("", el("div", { class: "empty" }, "Nothing to show.")));
  }
  view.onrefresh(load);
  await load();
}

function expire(name, now, next) {
  const n = el("input", { id: "ttl", type: "number", min: "1", value: now > 0 ? Math.ceil(now / 1000) : 3600, required: true });
  const d = el("dialog", { "aria-labelledby": "ask" }, el("form", { method: "dialog" }, el("h2", { id: "ask" }, "Time to live"),
    el("p", { class: "mono" }, shown(name)), el("p", {}, el("label", { for: "ttl" }, "Seconds from now "), n),
    el("div", { class: "row" }, el("button", { value: "no", formnovalidate: true }, "Cancel"), el("button", { value: "none", formnovalidate: true }, "No TTL"), el("button", { class: "primary", value: "set" }, "Set"))));
  d.addEventListener("submit", (e) => { e.preventDefault(); d.close(e.submitter.value); });
  d.addEventListener("close", async () => {
    d.remove();
    if (d.returnValue !== "set" && d.returnValue !== "none") return;
    try {
      const { changed } = await post("key/expire", { key: param(name), ttl: d.returnValue === "none" ? -1 : Math.round(1000 * n.value) });
      toast(changed ? "Done." : "Nothing was changed.");
      next();
    } catch (e) { toast(e.message, true); }
  });
  document.body.append(d);
  d.showModal();
}

/** paged shows rows and loads more where there are more. */
function paged(view, id, f, columns, label, extra) {
  let all = [...f.value.rows], next = f.value.next, cut = f.value.cut;
  const state = {}, box = el("div");
  const draw = () => fill(box, extra && extra(f.value), panel("", table(columns(all), all, { state, label }),
    el("div", { class: "foot" }, el("span", {}, `${whole(all.length)} of ${whole(f.length)} shown`, cut ? "; the server sent more at once than can be shown" : ""), el("span", { class: "grow" }),
      next && el("button", { onclick: async (e) => {
        e.currentTarget.disabled = true;
        try {
          const page = (await get("key", { key: id, from: next }, view.signal)).value;
          all.push(...page.rows); next = page.next; cut = cut || page.cut;
          draw();
        } catch (err) { view.fail(err); }
      } }, "More"))));
  draw();
  return box;
}

const cell = (i) => (r) => value(r[i]);

/** value is an element: one line, and all that came of it when opened. */
function value(b) {
  const text = plain(b);
  if (text.length <= 200 && !b.len) return shown(b);
  const d = el("details", {}, el("summary", {}, shown(b, 160)));
  d.addEventListener("toggle", () => { if (d.open && d.children.length === 1) d.append(typeof b === "string" && pretty(b) || el("pre", { class: "value" }, shown(b, 1e6))); });
  return d;
}

const viewers = {
  string: stringView,
  hash: (v, id, f) => paged(v, id, f, () => [{ name: "Field", key: true, cell: cell(0), by: (r) => plain(r[0]) }, { name: "Value", key: true, cell: cell(1) }], "Fields"),
  set: (v, id, f) => paged(v, id, f, () => [{ name: "Member", key: true, cell: cell(0), by: (r) => plain(r[0]) }], "Members"),
  zset: (v, id, f) => paged(v, id, f, (all) => [{ name: "Rank", num: true, cell: (r) => whole(all.indexOf(r)) }, { name: "Score", num: true, cell: cell(1), by: (r) => Number(r[1]) }, { name: "Member", key: true, cell: cell(0), by: (r) => plain(r[0]) }], "Members"),
  list: (v, id, f) => paged(v, id, f, (all) => [{ name: "Index", num: true, cell: (r) => whole(all.indexOf(r)) }, { name: "Element", key: true, cell: cell(0) }], "Elements"),
  stream: (v, id, f) => paged(v, id, f, () => [
    { name: "ID", key: true, cell: (r) => shown(r[0]) },
    { name: "Fields", key: true, cell: (r) => { const out = []; for (let i = 1; i + 1 < r.length; i += 2) out.push(el("div", {}, el("span", { class: "soft" }, shown(r[i]), " "), value(r[i + 1]))); return out; } },
  ], "Entries", (val) => val.groups && val.groups.length > 0 && panel("Consumer groups", table([
    { name: "Group", key: true, cell: (g) => shown(g.name) }, { name: "Consumers", num: true, cell: (g) => whole(g.consumers) }, { name: "Pending", num: true, cell: (g) => whole(g.pending) },
    { name: "Lag", num: true, cell: (g) => whole(g.lag) }, { name: "Last delivered", cell: (g) => shown(g.last) },
  ], val.groups, { label: "Consumer groups" }))),
  "ReJSON-RL": (v, id, f) => panel("", pretty(f.value.json) || el("pre", { class: "value" }, shown(f.value.json, 1e7))),
};

// ---- Strings: as text, as JSON where it is JSON, as bytes.

function stringView(view, id, f) {
  let at = 0, data = fromBase64(f.value.data || "");
  const box = el("div");
  const whole1 = data.length === f.length;
  const modes = { Text: text, JSON: () => pretty(decode(data)), Hex: () => el("pre", { class: "value hex" }, hex(data, at)) };
  const json = whole1 ? pretty(decode(data)) : null;
  let mode = json ? "JSON" : printable(data) ? "Text" : "Hex";
  function text() { return el("pre", { class: "value" }, lines(decode(data))); }
  async function jump(to) {
    try {
      const page = (await get("key", { key: id, from: to }, view.signal)).value;
      at = page.offset; data = fromBase64(page.data || "");
      draw();
    } catch (e) { view.fail(e); }
  }
  const step = 64 << 10;
  const draw = () => fill(box, panel(el("div", { class: "title" }, el("div", { class: "seg", role: "group", "aria-label": "Shown as" },
    Object.keys(modes).filter((m) => m !== "JSON" || json).map((m) => el("button", { type: "button", "aria-pressed": String(m === mode), onclick: () => { mode = m; draw(); } }, m))),
  el("span", { class: "grow" }), el("span", { class: "soft small" }, f.length > data.length || at ? `bytes ${whole(at)} to ${whole(at + data.length)} of ${whole(f.length)}` : ""),
  at > 0 && el("button", { onclick: () => jump(Math.max(0, at - step)) }, "Back"), at + data.length < f.length && el("button", { onclick: () => jump(at + step) }, "Next 64 KB")),
  modes[mode]()));
  draw();
  return box;
}

const decode = (data) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(data);

function printable(data) {
  const n = Math.min(data.length, 4096);
  let odd = 0;
  const text = decode(data.subarray(0, n));
  for (const c of text) if (c === "\ufffd" || (c < " " && c !== "\n" && c !== "\t" && c !== "\r")) odd++;
  return odd <= text.length / 50;
}

/** lines is text as nodes that keeps its lines and shows everything else that is not seen. */
function lines(text) {
  const out = [];
  text.split(/(\r?\n)/).forEach((part, i) => out.push(...(i % 2 ? ["\n"] : part ? shown(part, 1e7) : [])));
  return out;
}

function hex(data, from) {
  const out = [];
  for (let i = 0; i < data.length; i += 16) {
    const row = [...data.subarray(i, i + 16)];
    const left = row.map((b) => b.toString(16).padStart(2, "0"));
    out.push((from + i).toString(16).padStart(8, "0") + "  " + left.slice(0, 8).join(" ").padEnd(23) + "  " + left.slice(8).join(" ").padEnd(23) + "  " +
      row.map((b) => (b >= 32 && b < 127 ? String.fromCharCode(b) : "·")).join(""));
  }
  return out.join("\n") || "(empty)";
}

/** pretty is JSON with indents and colours, or null if the text is none. Numbers keep their spelling. */
export function pretty(text) {
  if (typeof text !== "string" || !/^\s*[[{]/.test(text) || text.length > 1 << 20) return null;
  try { JSON.parse(text); } catch { return null; }
  const pre = el("pre", { class: "value" });
  let depth = 0, nodes = 0;
  const line = () => pre.append("\n" + "  ".repeat(Math.min(depth, 40)));
  for (const m of text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?|[[\]{}]|,|[^\s[\]{},:"]+/g)) {
    const t = m[0];
    if (++nodes > 20000) { pre.append("\n…"); break; }
    if (t === "{" || t === "[") {
      pre.append(t);
      const shut = t === "{" ? "}" : "]";
      if (text.slice(m.index + 1, m.index + 200).trimStart()[0] === shut) { depth++; continue; }
      depth++; line();
    } else if (t === "}" || t === "]") {
      depth--;
      if (!/[[{]\s*$/.test(text.slice(Math.max(0, m.index - 200), m.index))) line();
      pre.append(t);
    } else if (t === ",") { pre.append(","); line(); } else if (t[0] === '"') {
      const isKey = m[1] !== undefined;
      pre.append(el("span", { class: isKey ? "k" : "s" }, shown(isKey ? t.slice(0, t.length - m[1].length) : t, 1e7)), isKey ? ": " : "");
    } else pre.append(el("span", { class: /^[-\d]/.test(t) ? "n" : "l" }, t));
  }
  return pre;
}
