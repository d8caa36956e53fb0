package vfs

import "io/fs"

// Op names an operation to a fault hook.
type Op string

// The operations a fault hook sees. Reading ahead of time what a file holds (Stat of a File, Name) cannot fail.
const (
	OpOpen     Op = "open"
	OpCreate   Op = "create"
	OpAppend   Op = "append"
	OpRename   Op = "rename"
	OpRemove   Op = "remove"
	OpStat     Op = "stat"
	OpReadDir  Op = "readdir"
	OpMkdir    Op = "mkdir"
	OpChmod    Op = "chmod"
	OpSyncDir  Op = "syncdir"
	OpRead     Op = "read"
	OpWrite    Op = "write"
	OpSync     Op = "sync"
	OpTruncate Op = "truncate"
	OpClose    Op = "close"
)

// ShortWrite, returned by a fault hook for OpWrite, lets the first N bytes through before the write fails with Err, as a
// full disk does.
type ShortWrite struct {
	N   int
	Err error
}

func (s *ShortWrite) Error() string { return "short write: " + s.Err.Error() }
func (s *ShortWrite) Unwrap() error { return s.Err }

// WithFaults wraps an FS so that hook is asked before every operation; an error from it becomes the operation's error and
// nothing is done. Rename is announced by its old name. A Close is done even when the hook fails it, as the kernel does.
// The hook must be safe for concurrent use.
func WithFaults(inner FS, hook func(op Op, name string) error) FS {
	return faultFS{inner, hook}
}

type faultFS struct {
	inner FS
	hook  func(op Op, name string) error
}

func (f faultFS) check(op Op, name string) error {
	if err := f.hook(op, name); err != nil {
		return &fs.PathError{Op: string(op), Path: name, Err: err}
	}
	return nil
}

func (f faultFS) open(op Op, name string, open func(string) (File, error)) (File, error) {
	if err := f.check(op, name); err != nil {
		return nil, err
	}
	inner, err := open(name)
	if err != nil {
		return nil, err
	}
	return &faultFile{inner, f}, nil
}

func (f faultFS) Open(name string) (File, error)   { return f.open(OpOpen, name, f.inner.Open) }
func (f faultFS) Create(name string) (File, error) { return f.open(OpCreate, name, f.inner.Create) }
func (f faultFS) OpenAppend(name string) (File, error) {
	return f.open(OpAppend, name, f.inner.OpenAppend)
}

func (f faultFS) Rename(oldName, newName string) error {
	if err := f.check(OpRename, oldName); err != nil {
		return err
	}
	return f.inner.Rename(oldName, newName)
}

func (f faultFS) Remove(name string) error {
	if err := f.check(OpRemove, name); err != nil {
		return err
	}
	return f.inner.Remove(name)
}

func (f faultFS) Stat(name string) (fs.FileInfo, error) {
	if err := f.check(OpStat, name); err != nil {
		return nil, err
	}
	return f.inner.Stat(name)
}

func (f faultFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := f.check(OpReadDir, name); err != nil {
		return nil, err
	}
	return f.inner.ReadDir(name)
}

func (f faultFS) MkdirAll(name string, perm fs.FileMode) error {
	if err := f.check(OpMkdir, name); err != nil {
		return err
	}
	return f.inner.MkdirAll(name, perm)
}

func (f faultFS) Chmod(name string, perm fs.FileMode) error {
	if err := f.check(OpChmod, name); err != nil {
		return err
	}
	return f.inner.Chmod(name, perm)
}

func (f faultFS) SyncDir(name string) error {
	if err := f.check(OpSyncDir, name); err != nil {
		return err
	}
	return f.inner.SyncDir(name)
}

type faultFile struct {
	File
	fs faultFS
}

func (f *faultFile) Read(p []byte) (int, error) {
	if err := f.fs.check(OpRead, f.Name()); err != nil {
		return 0, err
	}
	return f.File.Read(p)
}

func (f *faultFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.fs.check(OpRead, f.Name()); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *faultFile) Write(p []byte) (int, error) {
	fault := f.fs.hook(OpWrite, f.Name())
	if fault == nil {
		return f.File.Write(p)
	}
	n := 0
	if short, ok := fault.(*ShortWrite); ok {
		var err error
		if n, err = f.File.Write(p[:min(short.N, len(p))]); err != nil {
			return n, err
		}
		fault = short.Err
	}
	return n, &fs.PathError{Op: string(OpWrite), Path: f.Name(), Err: fault}
}

func (f *faultFile) Sync() error {
	if err := f.fs.check(OpSync, f.Name()); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *faultFile) Truncate(size int64) error {
	if err := f.fs.check(OpTruncate, f.Name()); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *faultFile) Close() error {
	fault := f.fs.check(OpClose, f.Name())
	if err := f.File.Close(); err != nil {
		return err
	}
	return fault
}
