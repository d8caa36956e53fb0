package command

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/larderdb/larder/internal/acl"
	"github.com/larderdb/larder/internal/config"
)

// maxACLFile bounds the ACL file, bytes.
const maxACLFile = 64 << 20

// LoadUsers makes the users of the configuration, or of the ACL file that it names. It is called once, before the first
// session; an error means that the store must not start.
func (p *Processor) LoadUsers() error {
	listed, s := p.Config.Users(), p.Config.Settings()
	if s.ACLFile != "" && len(listed) != 0 {
		return errors.New("users are defined in the configuration and aclfile names a file with users: only one may be")
	}
	for _, u := range listed {
		if err := p.users.Define(u.Name, u.Rules); err != nil {
			return err
		}
	}
	if s.ACLFile == "" {
		return nil
	}
	if _, err := p.loadACLFile(); err != nil {
		return fmt.Errorf("aclfile: %w", err)
	}
	return nil
}

// followUsers keeps the users in step with requirepass and acl-pubsub-default.
func (p *Processor) followUsers() {
	s := p.Config.Settings()
	p.users.SetOpenChannels(s.ACLAllChannels)
	if s.RequirePass != "" {
		p.users.SetPassword(s.RequirePass)
	}
	var before *acl.User
	p.Config.OnChange(func(s *config.Settings) error {
		if s.RequirePass == p.Config.Settings().RequirePass { // taken back, as something else was refused
			p.users.Restore(before)
		} else {
			before = p.users.SetPassword(s.RequirePass)
		}
		return nil
	}, "requirepass")
	p.Config.OnChange(func(s *config.Settings) error {
		p.users.SetOpenChannels(s.ACLAllChannels)
		return nil
	}, "acl-pubsub-default")
}

// NeedsPassword tells whether a client must say who it is: protected mode is for stores where none need.
func (p *Processor) NeedsPassword() bool { return !p.users.Default().User().NoPass() }

// aclPath is where the ACL file is.
func aclPath(s *config.Settings) string {
	if filepath.IsAbs(s.ACLFile) {
		return s.ACLFile
	}
	return filepath.Join(s.Dir, s.ACLFile)
}

// loadACLFile replaces all users by those of the file; on an error none has changed.
func (p *Processor) loadACLFile() ([]acl.Change, error) {
	s := p.Config.Settings()
	f, err := p.files.Open(aclPath(s))
	if err != nil {
		return nil, fmt.Errorf("Error loading ACLs, opening file '%s': %s", s.ACLFile, systemError(err))
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxACLFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("Error loading ACLs, reading file '%s': %s", s.ACLFile, systemError(err))
	case len(text) > maxACLFile:
		return nil, fmt.Errorf("Error loading ACLs, file '%s' is longer than %d bytes", s.ACLFile, maxACLFile)
	}
	return p.users.Load(s.ACLFile, string(text))
}

// systemError is the system's own text, as strerror spells it.
func systemError(err error) string {
	var errno syscall.Errno
	text := err.Error()
	if errors.As(err, &errno) {
		text = errno.Error()
	} else if errors.Is(err, fs.ErrNotExist) {
		text = "no such file or directory"
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// saveACLFile replaces the file in one step: after a failure or a crash the old one or the new one is there, whole.
func (p *Processor) saveACLFile(text string) error {
	path := aclPath(p.Config.Settings())
	temp := path + ".tmp-" + strconv.Itoa(os.Getpid()) + "-" + strconv.FormatInt(p.clock.Now().UnixMilli(), 10)
	err := p.writeFile(temp, text)
	if err == nil {
		err = p.files.Rename(temp, path)
	}
	if err != nil {
		_ = p.files.Remove(temp)
		return err
	}
	return p.files.SyncDir(filepath.Dir(path))
}

// writeFile writes a file that is there whole when it returns nil.
func (p *Processor) writeFile(name, text string) error {
	f, err := p.files.Create(name)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
