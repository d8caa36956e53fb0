package vfs

import (
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
)

// Mem is a file system in memory that knows what a disk would have kept.
//
// Every file holds two versions of its bytes, the written one and the one of its last Sync; the name space is a durable
// one and the list of changes since, which SyncDir makes durable folder by folder. CrashClone builds the file system that
// a machine could find after losing power now: the synced versions, and of the rest a random part. Name changes survive
// in order and each as a whole, as a journalling file system keeps them: a rename never loses the file.
// Making a folder is durable at once (as if MkdirAll synced): persistence makes its folder long before it matters.
type Mem struct {
	mu      sync.Mutex
	names   map[string]*memNode // by cleaned path; what processes see
	durable map[string]*memNode // what SyncDir has made safe
	pending []nameChange        // what leads from durable to names, in order
}

// nameChange is one step of the name space: path now means node (nil: nothing), and for a rename oldPath means nothing.
type nameChange struct {
	path, oldPath string
	node          *memNode
}

func (c nameChange) apply(names map[string]*memNode) {
	delete(names, c.oldPath)
	if c.node == nil {
		delete(names, c.path)
		return
	}
	names[c.path] = c.node
}

// change makes a name change that a crash may still undo.
func (m *Mem) change(c nameChange) {
	c.apply(m.names)
	m.pending = append(m.pending, c)
}

// NewMem makes an empty file system with the folders "." and "/".
func NewMem() *Mem {
	m := &Mem{names: map[string]*memNode{}, durable: map[string]*memNode{}}
	for _, dir := range []string{".", string(filepath.Separator)} {
		m.addDir(dir)
	}
	return m
}

// memNode is a file or a folder. Guarded by Mem.mu.
type memNode struct {
	dir     bool
	perm    fs.FileMode
	data    []byte
	synced  []byte
	dirtyLo int // data[dirtyLo:dirtyHi] may differ from synced, beyond the difference in length
	dirtyHi int
}

// tornBlock is the unit in which a disk writes or does not write, in bytes.
const tornBlock = 512

// CrashClone returns the file system as a crash at this moment could leave it. Each unsynced block of 512 bytes survives
// with probability survive (0 = only what was synced, 1 = everything), drawn from rng, and so does each unsynced name
// change until the first that does not; a file that was growing may end anywhere between its synced and its written
// length, and blocks lost inside it read as zeros or, where the file had synced content, as that. m itself is not changed.
func (m *Mem) CrashClone(rng *rand.Rand, survive float64) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	names := maps.Clone(m.durable)
	for _, c := range m.pending {
		if rng.Float64() >= survive {
			break
		}
		c.apply(names)
	}
	clone := &Mem{names: map[string]*memNode{}, durable: map[string]*memNode{}}
	for _, path := range slices.Sorted(maps.Keys(names)) { // sorted: one seed gives one outcome
		node := names[path].crash(rng, survive)
		clone.names[path], clone.durable[path] = node, node
	}
	return clone
}

func (n *memNode) crash(rng *rand.Rand, survive float64) *memNode {
	size := len(n.synced)
	if change := len(n.data) - size; change != 0 && rng.Float64() < survive {
		if survive < 1 {
			change = rng.IntN(max(change, -change)+1) * sign(change)
		}
		size += change
	}
	data := make([]byte, size)
	copy(data, n.synced)
	for lo := 0; lo < size; lo += tornBlock {
		if rng.Float64() < survive {
			hi := min(lo+tornBlock, size, len(n.data))
			if lo < hi {
				copy(data[lo:hi], n.data[lo:hi])
			}
		}
	}
	return &memNode{dir: n.dir, perm: n.perm, data: data, synced: slices.Clone(data)}
}

func sign(x int) int {
	if x < 0 {
		return -1
	}
	return 1
}

func (n *memNode) markDirty(lo, hi int) {
	if n.dirtyLo == n.dirtyHi {
		n.dirtyLo, n.dirtyHi = lo, hi
		return
	}
	n.dirtyLo, n.dirtyHi = min(n.dirtyLo, lo), max(n.dirtyHi, hi)
}

// sync costs the bytes changed since the last one.
func (n *memNode) sync() {
	if len(n.synced) > len(n.data) {
		n.synced = n.synced[:len(n.data)]
	}
	if hi := min(n.dirtyHi, len(n.synced)); n.dirtyLo < hi {
		copy(n.synced[n.dirtyLo:hi], n.data[n.dirtyLo:hi])
	}
	n.synced = append(n.synced, n.data[len(n.synced):]...)
	n.dirtyLo, n.dirtyHi = 0, 0
}

func (n *memNode) truncate(size int) {
	if size <= len(n.data) {
		clear(n.data[size:]) // a later extension must read zeros
		n.markDirty(size, max(size, len(n.data)))
		n.data = n.data[:size]
		return
	}
	n.markDirty(len(n.data), size)
	n.data = append(n.data, make([]byte, size-len(n.data))...)
}

func (m *Mem) addDir(name string) {
	if m.names[name] == nil {
		node := &memNode{dir: true}
		m.names[name], m.durable[name] = node, node
	}
}

func (m *Mem) open(op, name string, create, truncate, appends bool) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	path := filepath.Clean(name)
	node := m.names[path]
	switch {
	case node == nil && !create:
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	case node == nil:
		if parent := m.names[filepath.Dir(path)]; parent == nil || !parent.dir {
			return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
		}
		node = &memNode{perm: 0o644}
		m.change(nameChange{path: path, node: node})
	case node.dir:
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	case truncate:
		node.truncate(0)
	}
	return &memFile{fs: m, node: node, name: name, writable: create, appends: appends}, nil
}

// Open implements FS.
func (m *Mem) Open(name string) (File, error) { return m.open("open", name, false, false, false) }

// Create implements FS.
func (m *Mem) Create(name string) (File, error) { return m.open("create", name, true, true, false) }

// OpenAppend implements FS.
func (m *Mem) OpenAppend(name string) (File, error) { return m.open("append", name, true, false, true) }

// Rename implements FS. It moves files only, not folders.
func (m *Mem) Rename(oldName, newName string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	from, to := filepath.Clean(oldName), filepath.Clean(newName)
	node, target, parent := m.names[from], m.names[to], m.names[filepath.Dir(to)]
	switch {
	case node == nil || parent == nil:
		return &fs.PathError{Op: "rename", Path: oldName, Err: fs.ErrNotExist}
	case node.dir || target != nil && target.dir || !parent.dir:
		return &fs.PathError{Op: "rename", Path: oldName, Err: fs.ErrInvalid}
	}
	if from != to {
		m.change(nameChange{path: to, oldPath: from, node: node})
	}
	return nil
}

// Remove implements FS.
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	path := filepath.Clean(name)
	node := m.names[path]
	if node == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	if node.dir {
		if len(m.children(path)) > 0 {
			return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrExist}
		}
	}
	m.change(nameChange{path: path})
	return nil
}

// Stat implements FS.
func (m *Mem) Stat(name string) (fs.FileInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	path := filepath.Clean(name)
	node := m.names[path]
	if node == nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
	}
	return node.info(path), nil
}

// Chmod implements FS.
func (m *Mem) Chmod(name string, perm fs.FileMode) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	node := m.names[filepath.Clean(name)]
	if node == nil || node.dir {
		return &fs.PathError{Op: "chmod", Path: name, Err: fs.ErrNotExist}
	}
	node.perm = perm.Perm()
	return nil
}

// ReadDir implements FS.
func (m *Mem) ReadDir(name string) ([]fs.DirEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	path := filepath.Clean(name)
	if node := m.names[path]; node == nil || !node.dir {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
	}
	var entries []fs.DirEntry
	for _, child := range m.children(path) {
		entries = append(entries, fs.FileInfoToDirEntry(m.names[child].info(child)))
	}
	return entries, nil
}

// children are the present paths right inside dir, sorted.
func (m *Mem) children(dir string) []string {
	var paths []string
	for path := range m.names {
		if path != dir && filepath.Dir(path) == dir {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

// MkdirAll implements FS.
func (m *Mem) MkdirAll(name string, _ fs.FileMode) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	path := filepath.Clean(name)
	for p := path; ; p = filepath.Dir(p) {
		if node := m.names[p]; node != nil && !node.dir {
			return &fs.PathError{Op: "mkdir", Path: name, Err: fs.ErrExist}
		}
		if p == filepath.Dir(p) {
			break
		}
	}
	for i, r := range path {
		if i > 0 && r == filepath.Separator {
			m.addDir(path[:i])
		}
	}
	m.addDir(path)
	return nil
}

// SyncDir implements FS.
func (m *Mem) SyncDir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir := filepath.Clean(name)
	if node := m.names[dir]; node == nil || !node.dir {
		return &fs.PathError{Op: "syncdir", Path: name, Err: fs.ErrNotExist}
	}
	in := func(path string) bool { return path != "" && filepath.Dir(path) == dir }
	m.pending = slices.DeleteFunc(m.pending, func(c nameChange) bool {
		if !in(c.path) && !in(c.oldPath) {
			return false
		}
		c.apply(m.durable)
		return true
	})
	return nil
}
