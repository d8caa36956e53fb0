// Package rest serves a Store over HTTP, in the protocol of Vercel KV and Upstash Redis.
//
//	h, err := rest.Handler(st, rest.Options{Token: os.Getenv("KV_REST_API_TOKEN")})
//	...
//	http.ListenAndServe("127.0.0.1:8079", h)
//
// Then @vercel/kv, @upstash/redis, @upstash/ratelimit and package store/kvstore work with it, unmodified, and so does curl:
//
//	curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8079/set/greeting/hello?EX=60
//	curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8079/ -d '["GET","greeting"]'
//
// The Store may be any: embedded in this process, a Larder server, Redis, Valkey or a Cluster of them, so that the handler
// is a proxy in front.
//
// # Requests
//
//	GET, HEAD, PUT, POST /COMMAND/argument/...   a command; a body is its last argument but for those of the query
//	POST /                                       a command as a JSON array
//	POST /pipeline                               an array of commands, which run in order
//	POST /multi-exec                             likewise, as one transaction; the Store must be a [store.Transactor]
//	     /subscribe/channel/..., /psubscribe/pattern/..., /monitor     server-sent events until the client leaves
//
// Arguments are strings, numbers, which keep their spelling, and booleans. The reply is {"result": ...} or {"error": "..."}; of
// a pipeline, an array of those. Maps are flat arrays, booleans 1 and 0, floating point numbers strings, as in RESP2. With the
// request header Upstash-Encoding: base64 the strings of results are in base64, which is the only way to get bytes that are
// no UTF-8; with Upstash-Response-Format: resp2 the reply is in RESP2.
//
// Larder's own clients may use two things more: strings of JSON that are no UTF-8, and, by the request header Larder-Words:
// base64, events whose names and payloads are in base64.
//
// # Who may what
//
// Options.Token may do everything, Options.ReadOnlyToken may read, and with Options.LogIn name:password is the token of a user of the
// Store, who may do what the Store's ACL says. The token is in the header Authorization: Bearer, or in the query's _token.
//
// # What is refused
//
// Commands that change a connection, since requests share them: AUTH, SELECT, CLIENT, MULTI, WATCH and the like. Commands that
// block, and those that would stop or debug the server. Requests past the limits of Options, and bodies with a Content-Encoding.
//
// A read-only token may run what the Store's COMMAND INFO flags readonly, but neither SCAN and KEYS nor scripts (EVAL_RO,
// EVALSHA_RO, FCALL_RO).
package rest
