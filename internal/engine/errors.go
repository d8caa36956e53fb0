package engine

// Error is an error whose text is what Redis would send, byte for byte, with
// the code in front. Errors of the engine are constants, so they compare with ==.
type Error string

func (e Error) Error() string { return string(e) }

// The engine's own errors.
const (
	ErrWrongType   Error = "WRONGTYPE Operation against a key holding the wrong kind of value"
	ErrOutOfMemory Error = "OOM command not allowed when used memory > 'maxmemory'."
	ErrNoSuchKey   Error = "ERR no such key"
	ErrDBIndex     Error = "ERR DB index is out of range"
	ErrShardFull   Error = "OOM command not allowed when a shard is near its limit of 16 GiB."
)
