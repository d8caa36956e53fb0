// Package vfs is the little of a file system that persistence needs, behind an interface, so that a test can take the
// power away at any moment (Mem.CrashClone) and make any single operation fail (WithFaults).
//
// Durability follows POSIX: what was written is safe after File.Sync, and a name that was made, renamed or removed is
// safe after SyncDir of its folder. Code that needs both must ask for both.
package vfs

import (
	"io"
	"io/fs"
	"os"
)

// FS is a file system. Names are as for package os. Errors are *fs.PathError or *os.LinkError and answer to
// errors.Is(err, fs.ErrNotExist) and the like. All methods are safe for concurrent use.
type FS interface {
	// Open opens a file for reading.
	Open(name string) (File, error)
	// Create makes a file, or empties the one there is, for reading and writing.
	Create(name string) (File, error)
	// OpenAppend opens or makes a file whose writes all go to its end.
	OpenAppend(name string) (File, error)
	// Rename replaces newName, if there is one, in one step.
	Rename(oldName, newName string) error
	// Remove removes a file or an empty folder.
	Remove(name string) error
	Stat(name string) (fs.FileInfo, error)
	// ReadDir lists a folder, sorted by name.
	ReadDir(name string) ([]fs.DirEntry, error)
	// MkdirAll makes a folder and its parents; it is no error when they are there.
	MkdirAll(name string, perm fs.FileMode) error
	// Chmod sets the permissions of a file. They are durable with the file.
	Chmod(name string, perm fs.FileMode) error
	// SyncDir makes the names in a folder durable.
	SyncDir(name string) error
}

// File is an open file. One goroutine at a time may use its position (Read, Write); ReadAt and Sync go beside them.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.Closer
	// Sync makes what was written, and the length, durable.
	Sync() error
	// Truncate cuts the file or extends it with zeros. The position stays.
	Truncate(size int64) error
	Stat() (fs.FileInfo, error)
	// Name is the name that the file was opened by.
	Name() string
}

// OS is the file system of the machine.
func OS() FS { return osFS{} }

type osFS struct{}

func (osFS) Open(name string) (File, error)   { return file(os.Open(name)) }
func (osFS) Create(name string) (File, error) { return file(os.Create(name)) }

func (osFS) OpenAppend(name string) (File, error) {
	return file(os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644))
}

func (osFS) Rename(oldName, newName string) error         { return os.Rename(oldName, newName) }
func (osFS) Remove(name string) error                     { return os.Remove(name) }
func (osFS) Chmod(name string, perm fs.FileMode) error    { return os.Chmod(name, perm) }
func (osFS) Stat(name string) (fs.FileInfo, error)        { return os.Stat(name) }
func (osFS) ReadDir(name string) ([]fs.DirEntry, error)   { return os.ReadDir(name) }
func (osFS) MkdirAll(name string, perm fs.FileMode) error { return os.MkdirAll(name, perm) }

// file keeps a nil *os.File from becoming a File that is not nil.
func file(f *os.File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return f, nil
}
