// Package acl is who may do what: users, their passwords, and the rules that say which commands they may run on which
// keys and channels. It knows commands as numbers with a name and categories (a [Catalog]), no connection and no file.
//
// A [User] is immutable. Changing one means to apply rules to a copy and to publish the copy in its [Account], so a
// check reads one pointer, waits for nobody, and sees all of a change or nothing. A session keeps the Account it
// authenticated as: what an administrator changes holds from the session's next command on, and a removed account
// holds a user that may do nothing.
//
// A user has a root selector and any number of further ones. A command is allowed if one selector allows all of it:
// permissions of different selectors do not add up. A selector keeps its command rules twice: as a bitmap, which checks
// read, and as the ordered list of rules that led to it, which is what people are shown and what files keep. The list
// counts from +@all or -@all; a rule takes the place of earlier ones about the same command or category (or about a
// subcommand of it), so that it stays short however often it is changed.
package acl
