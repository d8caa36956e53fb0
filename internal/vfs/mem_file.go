package vfs

import (
	"io"
	"io/fs"
	"path/filepath"
	"time"
)

// memFile is an open Mem file. Its position is guarded by fs.mu too.
type memFile struct {
	fs       *Mem
	node     *memNode
	name     string
	writable bool
	appends  bool

	pos    int
	closed bool
}

func (f *memFile) begin(op string, writes bool) error {
	f.fs.mu.Lock()
	var err error
	switch {
	case f.closed:
		err = fs.ErrClosed
	case writes && !f.writable:
		err = fs.ErrPermission
	default:
		return nil
	}
	f.fs.mu.Unlock()
	return &fs.PathError{Op: op, Path: f.name, Err: err}
}

func (f *memFile) Read(p []byte) (int, error) {
	if err := f.begin("read", false); err != nil {
		return 0, err
	}
	defer f.fs.mu.Unlock()
	if len(p) == 0 {
		return 0, nil
	}
	if f.pos >= len(f.node.data) {
		return 0, io.EOF
	}
	n := copy(p, f.node.data[f.pos:])
	f.pos += n
	return n, nil
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.begin("read", false); err != nil {
		return 0, err
	}
	defer f.fs.mu.Unlock()
	if off < 0 {
		return 0, &fs.PathError{Op: "read", Path: f.name, Err: fs.ErrInvalid}
	}
	if off >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.node.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) Write(p []byte) (int, error) {
	if err := f.begin("write", true); err != nil {
		return 0, err
	}
	defer f.fs.mu.Unlock()
	n := f.node
	if f.appends {
		f.pos = len(n.data)
	}
	if f.pos > len(n.data) {
		n.truncate(f.pos) // somebody cut the file: the gap reads as zeros
	}
	n.markDirty(f.pos, f.pos+len(p))
	over := copy(n.data[f.pos:], p)
	n.data = append(n.data, p[over:]...)
	f.pos += len(p)
	return len(p), nil
}

func (f *memFile) Sync() error {
	if err := f.begin("sync", false); err != nil {
		return err
	}
	defer f.fs.mu.Unlock()
	f.node.sync()
	return nil
}

func (f *memFile) Truncate(size int64) error {
	if err := f.begin("truncate", true); err != nil {
		return err
	}
	defer f.fs.mu.Unlock()
	if size < 0 {
		return &fs.PathError{Op: "truncate", Path: f.name, Err: fs.ErrInvalid}
	}
	f.node.truncate(int(size))
	return nil
}

func (f *memFile) Stat() (fs.FileInfo, error) {
	if err := f.begin("stat", false); err != nil {
		return nil, err
	}
	defer f.fs.mu.Unlock()
	return f.node.info(f.name), nil
}

func (f *memFile) Close() error {
	if err := f.begin("close", false); err != nil {
		return err
	}
	defer f.fs.mu.Unlock()
	f.closed = true
	return nil
}

func (f *memFile) Name() string { return f.name }

// memInfo is what Stat answers: the size at that moment.
type memInfo struct {
	name string
	size int64
	dir  bool
	perm fs.FileMode
}

func (n *memNode) info(path string) memInfo {
	return memInfo{filepath.Base(path), int64(len(n.data)), n.dir, n.perm}
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return i.size }
func (i memInfo) ModTime() time.Time { return time.Time{} } // nothing may depend on it
func (i memInfo) IsDir() bool        { return i.dir }
func (i memInfo) Sys() any           { return nil }

func (i memInfo) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o755
	}
	return i.perm
}
