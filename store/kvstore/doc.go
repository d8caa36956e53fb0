// Package kvstore is a [store.Store] over the REST API of Vercel KV and Upstash Redis, which package rest serves too.
//
//	st, err := larder.Connect(ctx, "https://TOKEN@eu1-example.upstash.io")
//
// or, with KV_REST_API_URL and KV_REST_API_TOKEN (or UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN) in the environment,
// larder.Connect(ctx, "").
//
// # What it does
//
// Calls that come while others are under way go together, as one /pipeline: a busy process makes few requests, and a lone
// call does not wait. Replies come in base64, so that bytes survive. The sync token of each answer goes with the next
// request, so that a service with replicas lets a process read what it wrote.
//
// A request is repeated only where that is safe: it was certainly not run, or all of its commands only read. What a caller
// left behind, when his ctx ended, is not overtaken by what comes after, so that he may undo it.
//
// # What REST cannot do
//
// It does not wait: commands that block (BLPOP, XREAD BLOCK, ...) are asked again and again, see [Options]. There are no
// connections: WATCH, SELECT, sharded channels and client tracking are ErrUnsupported. Arguments that are no UTF-8 cannot stand in
// JSON: a command that has some goes alone, its longest word as the body; Larder's own server takes them in JSON. A
// subscription is a stream of server-sent events, of text: a carriage return in a message arrives as a line feed, and where names with
// commas are subscribed to, a message that could be of two channels counts as that of the longer name; Larder's own
// server sends them in base64.
package kvstore
