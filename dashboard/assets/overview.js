// Overview, namespaces, commands, slow log, INFO.
import { el, fill, get, panel, table, facts, bar, shown, plain, globbed, count, bytes, rate, percent, micros, span, moment, whole, dash, me } from "./lib.js";

const color = (n) => getComputedStyle(document.documentElement).getPropertyValue(n).trim();

// The charts: what is drawn of the series of api/history.
const bytesRate = (n) => (n === null ? dash : bytes(n) + "/s");
const ratio = (h) => h.hits.map((x, i) => (x === null || h.misses[i] === null || x + h.misses[i] === 0 ? null : x / (x + h.misses[i])));
const charts = [
  { title: "Memory", format: bytes, lines: [["used", "used", "--c1", true], ["resident", "rss", "--c5"], ["maxmemory", "max", "--c4", false, true]] },
  { title: "Evictions and expirations", format: rate, lines: [["evicted", "evicted", "--c4", true], ["expired", "expired", "--c2"]] },
  { title: "Throughput", format: rate, lines: [["commands", "ops", "--c1", true]] },
  { title: "Latency", format: micros, lines: [["p50", "p50", "--c1"], ["p99", "p99", "--c2"], ["p99.9", "p999", "--c4"]] },
  { title: "Hit ratio", format: percent, top: 1, lines: [["hits of reads", ratio, "--c1", true]] },
  { title: "Network", format: bytesRate, lines: [["in", "in", "--c5"], ["out", "out", "--c2"]] },
  { title: "Keys", format: count, lines: [["keys", "keys", "--c3", true]] },
  { title: "Connections", format: count, lines: [["open", "clients", "--c5", true], ["blocked", "blocked", "--c2"]] },
];

/** draw makes one chart; set gives it points. */
function draw(spec, sync) {
  const box = el("div", { class: "chart", role: "img", "aria-label": spec.title + " over time" });
  const none = el("div", { class: "none" }, "This store does not tell.");
  let plot = null, last = null;
  const make = (data) => {
    const faint = color("--line"), soft = color("--soft");
    const axis = { stroke: soft, grid: { stroke: faint, width: 1 }, ticks: { stroke: faint, width: 1, size: 4 }, font: "11px system-ui, sans-serif" };
    plot = new uPlot({
      width: Math.max(box.clientWidth - 16, 200), height: 170, padding: [10, 26, 0, 0], cursor: { sync: { key: sync }, y: false, points: { size: 7 } },
      scales: { y: { range: (_, lo, hi) => [0, spec.top ?? (hi > 0 ? hi * 1.08 : 1)] } },
      axes: [{ ...axis, size: 26, space: 70, values: (_, t) => t.map(clock) }, { ...axis, size: 66, space: 34, incrs: spec.format === bytes || spec.format === bytesRate ? doubling : undefined, values: (_, v) => v.map((n) => spec.format(n)) }],
      series: [{ value: (_, t) => (t ? new Date(1000 * t).toLocaleTimeString() : dash) },
        ...spec.lines.map(([label, , c, area, dashed]) => ({
          label, stroke: color(c), width: 1.5, fill: area ? color(c) + "22" : undefined, dash: dashed ? [5, 4] : undefined, points: { show: false },
          spanGaps: false, value: (_, v) => (v === null || v === undefined ? dash : spec.format(v)),
        }))],
    }, data, box);
    queueMicrotask(rest); // after the one in which it draws itself
  };
  // Where no pointer asks for another moment the legend tells the last one.
  const rest = () => plot && (plot.cursor.left ?? -1) < 0 && plot.setLegend({ idx: plot.data[0].length - 1 }, false);
  box.addEventListener("mouseleave", () => setTimeout(rest));
  const observer = new ResizeObserver(() => plot && plot.setSize({ width: Math.max(box.clientWidth - 16, 200), height: 170 }));
  observer.observe(box);
  return {
    node: panel(spec.title, box),
    set(h) {
      const data = [h.t.map((t) => t / 1000), ...spec.lines.map(([, from]) => (typeof from === "function" ? from(h) : h[from]))];
      last = data;
      const told = data.slice(1).some((s) => s.some((v) => v !== null));
      none.remove();
      if (!told) { box.append(none); }
      if (!plot) make(data);
      else { plot.setData(data); rest(); }
      const at = data[1].length - 1;
      box.setAttribute("aria-label", `${spec.title} over time, now ` + spec.lines.map(([label], i) => `${label} ${spec.format(data[i + 1][at])}`).join(", "));
    },
    repaint() { if (plot) { plot.destroy(); make(last); } },
    destroy() { observer.disconnect(); plot?.destroy(); },
  };
}

const doubling = Array.from({ length: 50 }, (_, i) => 2 ** i); // steps of an axis of bytes
const clock = (t) => { const d = new Date(1000 * t); return d.getSeconds() ? d.toTimeString().slice(0, 8) : d.toTimeString().slice(0, 5); };

const seriesNames = ["used", "rss", "max", "keys", "ops", "hits", "misses", "evicted", "expired", "in", "out", "clients", "blocked", "p50", "p99", "p999"];

const spans = [["10 min", "hour", 600e3], ["1 h", "hour", 3600e3], ["24 h", "day", 86400e3]];
let chosen = 0;

export async function overview(view) {
  const tiles = el("div", { class: "tiles" }), grid = el("div", { class: "charts" }), causes = el("div"), about = el("div"), note = el("div");
  const drawn = charts.map((c) => draw(c, "larder"));
  grid.append(...drawn.map((d) => d.node));
  let h = null;
  const seg = el("div", { class: "seg", role: "group", "aria-label": "Time shown" }, spans.map(([name], i) => el("button", {
    type: "button", "aria-pressed": String(i === chosen),
    onclick: (e) => { chosen = i; for (const b of seg.children) b.setAttribute("aria-pressed", String(b === e.currentTarget)); h = null; load(); },
  }, name)));
  view.head("Overview", el("span", { class: "grow" }), seg);
  fill(view.root, note, tiles, grid, causes, about);
  view.onclose(() => drawn.forEach((d) => d.destroy()));
  view.onrepaint(() => { drawn.forEach((d) => d.repaint()); showCauses(lastInfo); });

  let lastInfo = null;
  async function load() {
    const [, kind, length] = spans[chosen], mine = chosen;
    const since = h?.t.length ? h.t.at(-1) : Math.max(0, Date.now() - length - 60e3);
    const [more, o] = await Promise.all([get("history", { span: kind, since: h ? since : undefined }, view.signal), get("overview", {}, view.signal).catch((e) => ({ error: e.message }))]);
    if (mine !== chosen) return;
    if (h) { for (const s of ["t", ...seriesNames]) h[s].push(...more[s]); } else h = more;
    const first = h.t.findIndex((t) => t >= more.now - length);
    if (first > 0) for (const s of ["t", ...seriesNames]) h[s].splice(0, first);
    fill(note, more.error && el("div", { class: "note bad" }, "The store does not answer: " + more.error));
    view.up(!more.error);
    drawn.forEach((d) => d.set(h));
    if (!o.error) lastInfo = o;
    showTiles(h, o.info || {});
    showCauses(o);
  }

  function showTiles(h, info) {
    const last = (s) => { for (let i = h[s].length - 1; i >= Math.max(0, h[s].length - 3); i--) if (h[s][i] !== null) return h[s][i]; return null; };
    const max = last("max"), used = last("used"), r = ratio(h).slice(-3).filter((x) => x !== null);
    const list = [
      ["Memory", bytes(used), max ? `${percent(used / max)} of ${bytes(max)}` : info.maxmemory_policy ? "no maxmemory" : ""],
      ["Keys", count(last("keys")), ""],
      ["Commands", rate(last("ops")), ""],
      ["Hit ratio", r.length ? percent(r.at(-1)) : dash, last("misses") !== null ? rate(last("misses")) + " misses" : ""],
      ["p99 latency", micros(last("p99")), last("p50") !== null ? "p50 " + micros(last("p50")) : ""],
      ["Evicted", rate(last("evicted")), info.evicted_keys !== undefined ? count(info.evicted_keys) + " in all" : ""],
      ["Expired", rate(last("expired")), info.expired_keys !== undefined ? count(info.expired_keys) + " in all" : ""],
      ["Connections", count(last("clients")), last("blocked") ? count(last("blocked")) + " blocked" : ""],
    ];
    fill(tiles, list.map(([what, value, more]) => el("div", { class: "tile" }, el("div", { class: "what" }, what), el("div", { class: "value" }, value), el("div", { class: "more" }, more))));
  }

  function showCauses(o) {
    if (!o || !o.info) return;
    const i = o.info, n = (k) => (i[k] === undefined ? undefined : Number(i[k]));
    const own = i.larder_mem_keys !== undefined;
    const scripts = sum(n("used_memory_scripts"), n("used_memory_vm_total"));
    const parts = [
      ...(own ? [["Keys", n("larder_mem_keys")], ["Values", n("larder_mem_values")], ["Tables", n("larder_mem_tables")], ["Free in slabs", n("larder_mem_free")]]
        : [["Keys and values", n("used_memory_dataset")], ["Allocator's fragments", positive(n("allocator_frag_bytes"))]]),
      ["Connections", sum(n("mem_clients_normal"), n("mem_clients_slaves"))], ["Scripts", scripts], ["Replication", n("mem_total_replication_buffers") ?? n("mem_replication_backlog")],
      ["Start", n("used_memory_startup")],
    ].filter(([, v]) => v !== undefined && Number.isFinite(v));
    const all = parts.reduce((s, [, v]) => s + v, 0);
    const colors = ["--c1", "--c5", "--c3", "--c7", "--c2", "--c4", "--c6", "--soft"].map(color);
    fill(causes, parts.length > 0 && panel("Memory by cause", el("div", { class: "pad" },
      el("div", { class: "stack", role: "img", "aria-label": parts.map(([k, v]) => `${k} ${bytes(v)}`).join(", ") }, parts.map(([, v], j) => el("i", { style: { width: (100 * v) / (all || 1) + "%", background: colors[j] } }))),
      el("div", { class: "legend" }, parts.map(([k, v], j) => el("span", {}, el("i", { style: { background: colors[j] } }), k + " ", el("b", {}, bytes(v)))),
        i.mem_fragmentation_ratio !== undefined && el("span", {}, "resident per used byte ", el("b", {}, i.mem_fragmentation_ratio)),
        i.used_memory_peak !== undefined && el("span", {}, "peak ", el("b", {}, bytes(i.used_memory_peak)))))));
    const name = i.larder_version ? "Larder " + i.larder_version : i.valkey_version && i.server_name === "valkey" ? "Valkey " + i.valkey_version : i.redis_version ? "Redis " + i.redis_version : "";
    view.where(name + (i.role && i.role !== "master" ? " (" + i.role + ")" : ""));
    fill(about, panel("Server", facts([
      name && ["Server", name], i.uptime_in_seconds && ["Up", span(1000 * i.uptime_in_seconds)], i.maxmemory_policy && ["Eviction policy", i.maxmemory_policy],
      i.maxmemory !== undefined && ["maxmemory", i.maxmemory === "0" ? "none" : bytes(i.maxmemory)], i.role && ["Role", i.role], i.connected_slaves && ["Replicas", i.connected_slaves],
      i.rdb_last_save_time && ["Last snapshot", moment(1000 * i.rdb_last_save_time)], i.total_commands_processed && ["Commands in all", count(i.total_commands_processed)],
      i.rejected_connections && ["Refused connections", count(i.rejected_connections)], i.os && ["System", i.os],
    ]), el("div", { class: "pad" }, el("a", { href: "#/info" }, "All that INFO tells"))));
  }
  const positive = (n) => (n === undefined ? undefined : Math.max(0, n));
  const sum = (...list) => (list.every((n) => n === undefined) ? undefined : list.reduce((s, n) => s + (n || 0), 0));

  await view.every(me.every, load);
}

export async function namespaces(view) {
  const state = { column: 2, up: false }, body = el("div");
  view.head("Namespaces", view.filter("Filter by name"));
  fill(view.root, body);
  await view.every(Math.max(me.every, 2000), async () => {
    const o = await get("overview", {}, view.signal);
    if (!o.namespaces) {
      fill(body, panel("", el("div", { class: "empty" }, "This server does not count by namespace. On Larder turn it on with the directive ", el("code", {}, "namespaces"), ".")));
      return;
    }
    const rows = o.namespaces.filter((r) => plain(r.name).includes(view.query()));
    const all = rows.reduce((s, r) => s + (r.bytes || 0), 0);
    const ttls = ["ttl_1m", "ttl_1h", "ttl_1d", "ttl_7d", "ttl_more", "no_ttl"];
    const names = ["up to a minute", "up to an hour", "up to a day", "up to a week", "longer", "no TTL"], colors = ["--c5", "--c1", "--c6", "--c2", "--c3", "--c4"].map(color);
    fill(body, panel("", table([
      { name: "Namespace", key: true, cell: (r) => el("a", { href: "#/keys?match=" + encodeURIComponent(globbed(r.name) + "*") }, shown(r.name)), by: (r) => plain(r.name) },
      { name: "Keys", num: true, cell: (r) => count(r.keys), by: (r) => r.keys },
      { name: "Memory", num: true, cell: (r) => [bytes(r.bytes), bar(r.bytes / all)], by: (r) => r.bytes },
      { name: "Hits", num: true, cell: (r) => rate(r.hits_rate), by: (r) => r.hits_rate },
      { name: "Misses", num: true, cell: (r) => rate(r.misses_rate), by: (r) => r.misses_rate },
      { name: "Hit ratio", num: true, cell: (r) => (r.hits + r.misses > 0 ? percent(r.hits / (r.hits + r.misses)) : dash), by: (r) => r.hits / (r.hits + r.misses) },
      { name: "Evicted", num: true, cell: (r) => count(r.evicted_maxmemory), by: (r) => r.evicted_maxmemory },
      { name: "Expired", num: true, cell: (r) => count(r.evicted_expired), by: (r) => r.evicted_expired },
      { name: "Regret", num: true, cell: (r) => count(r.regret), by: (r) => r.regret },
      { name: "No TTL", num: true, cell: (r) => el("span", { class: r.no_ttl > 0 ? "warn" : "" }, count(r.no_ttl)), by: (r) => r.no_ttl },
      { name: "TTLs", cell: (r) => stack(ttls.map((k, i) => [names[i], r[k], colors[i]])) },
    ], rows, { state, label: "Namespaces", empty: "No namespace has been written to yet." }),
    el("div", { class: "foot" }, el("span", {}, `Rates are over the last ${span(1000 * o.seconds)}. Regret: reads that missed a key which had been evicted.`),
      el("span", { class: "legend" }, names.map((n, i) => el("span", {}, el("i", { style: { background: colors[i] } }), n))))));
  });
}

export function stack(parts) {
  const told = parts.filter(([, v]) => v > 0), all = told.reduce((s, [, v]) => s + v, 0);
  if (!all) return dash;
  return el("div", { class: "stack", role: "img", title: told.map(([k, v]) => `${k}: ${whole(v)}`).join("\n"), "aria-label": told.map(([k, v]) => `${k} ${v}`).join(", "), style: { height: "10px", minWidth: "90px" } },
    told.map(([, v, c]) => el("i", { style: { width: (100 * v) / all + "%", background: c } })));
}

export async function commands(view) {
  const state = { column: 2, up: false }, body = el("div");
  view.head("Commands", view.filter("Filter by name"));
  fill(view.root, body);
  await view.every(Math.max(me.every, 2000), async () => {
    const o = await get("overview", {}, view.signal);
    if (!o.commands) { fill(body, panel("", el("div", { class: "empty" }, "This store does not tell about commands."))); return; }
    const rows = o.commands.filter((r) => r.name.includes(view.query().toLowerCase()));
    fill(body, panel("", table([
      { name: "Command", key: true, cell: (r) => r.name, by: (r) => r.name },
      { name: "Calls", num: true, cell: (r) => whole(r.calls), by: (r) => r.calls },
      { name: "Per second", num: true, cell: (r) => rate(r.rate), by: (r) => r.rate },
      { name: "Mean", num: true, cell: (r) => (r.usec > 0 ? micros(r.usec_per_call) : dash), by: (r) => r.usec_per_call },
      { name: "p50", num: true, cell: (r) => micros(r.p50), by: (r) => r.p50 },
      { name: "p99", num: true, cell: (r) => micros(r.p99), by: (r) => r.p99 },
      { name: "p99.9", num: true, cell: (r) => micros(r.p999), by: (r) => r.p999 },
      { name: "Time in all", num: true, cell: (r) => (r.usec > 0 ? micros(r.usec) : dash), by: (r) => r.usec },
      { name: "Refused", num: true, cell: (r) => count(r.rejected_calls), by: (r) => r.rejected_calls },
      { name: "Failed", num: true, cell: (r) => el("span", { class: r.failed_calls > 0 ? "bad" : "" }, count(r.failed_calls)), by: (r) => r.failed_calls },
    ], rows, { state, label: "Commands" })));
  });
}

export async function slow(view) {
  const state = {}, body = el("div");
  view.head("Slow log", view.filter("Filter by word"));
  fill(view.root, body);
  await view.every(4000, async () => {
    const o = await get("slowlog", {}, view.signal);
    const rows = o.entries.filter((r) => !view.query() || (r.words || []).some((w) => plain(w).toLowerCase().includes(view.query().toLowerCase())));
    fill(body, panel("", table([
      { name: "When", cell: (r) => moment(1000 * r.at), by: (r) => r.at },
      { name: "Took", num: true, cell: (r) => micros(r.micros), by: (r) => r.micros },
      { name: "Command", key: true, cell: (r) => (r.words || []).flatMap((w, i) => [i ? " " : "", i ? shown(w, 120) : el("b", {}, shown(w))]) },
      { name: "Client", cell: (r) => [shown(r.client), r.name ? [" ", el("span", { class: "tag" }, shown(r.name))] : ""] },
    ], rows, { state, label: "Slow commands", empty: "No command has been slow." }),
    o.threshold && el("div", { class: "foot" }, Number(o.threshold) < 0 ? "The slow log is off (slowlog-log-slower-than is negative)." : `Commands that took more than ${micros(o.threshold)}: slowlog-log-slower-than.`)));
  });
}

export async function info(view) {
  const body = el("div");
  view.head("INFO", view.filter("Filter by name"));
  fill(view.root, body);
  await view.every(5000, async () => {
    const o = await get("overview", {}, view.signal);
    const rows = Object.entries(o.info).filter(([k]) => k.includes(view.query().toLowerCase())).sort();
    fill(body, panel("", table([
      { name: "Field", key: true, cell: ([k]) => k }, { name: "Value", key: true, cell: ([, v]) => shown(v, 500) },
    ], rows, { label: "Fields of INFO" })));
  });
}
