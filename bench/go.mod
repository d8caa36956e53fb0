module github.com/larderdb/larder/bench

go 1.26.0

require github.com/larderdb/larder v0.0.0

require (
	github.com/redis/rueidis v1.0.79 // indirect
	github.com/vmihailenco/msgpack/v5 v5.4.1 // indirect
	github.com/vmihailenco/tagparser/v2 v2.0.0 // indirect
	github.com/yuin/gopher-lua v1.1.2 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace github.com/larderdb/larder => ../
