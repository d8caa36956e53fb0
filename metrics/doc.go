// Package metrics shows a store to Prometheus: an http.Handler that reads INFO over any [store.Store] (embedded, a Larder
// server, Redis, Valkey) and answers in the text format, or in OpenMetrics where the scraper asks for it.
//
//	http.Handle("/metrics", metrics.Handler(db, metrics.Options{}))
//
// Names, types and labels are those of redis_exporter where it has the figure (redis_up, redis_memory_used_bytes,
// redis_commands_total{cmd}, ...), so that its dashboards and alerts work as they are. What Redis does not have begins
// with larder_: namespaces, and memory by cause. What the store does not tell is left out, never shown as zero.
//
// A scrape is one pipeline of six commands: INFO ALL, LATENCY HISTOGRAM, LATENCY LATEST, SLOWLOG LEN, SLOWLOG GET 1 and
// CONFIG GET; of these only INFO must be allowed. On a Cluster they go to one of its servers, so scrape each.
//
// The packages metrics/prometheus and metrics/opentelemetry are about something else: what patterns tell package observe.
package metrics
