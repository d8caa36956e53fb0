package script

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
	"github.com/yuin/gopher-lua/parse"
)

// maxNesting bounds how deep syntax may nest: the compiler recurses.
const maxNesting = 4000

// Chunk is compiled Lua. It is immutable: any number of runs may use it at once.
type Chunk struct {
	proto *lua.FunctionProto
}

// Compile compiles Lua text. name is what errors call it: "user_script". The error says where and what, as
// "user_script:3: ...". Cost: O(text).
func (rt *Runtime) Compile(text, name string) (c *Chunk, err error) {
	defer func() { // the parser and the compiler report some errors by panics
		if r := recover(); r != nil {
			c, err = nil, syntaxError(r, name)
		}
	}()
	if strings.HasPrefix(text, "\x1b") {
		return nil, fmt.Errorf("%s: bad header in precompiled chunk", name)
	}
	stmts, err := parse.Parse(strings.NewReader(text), name)
	if err != nil {
		return nil, syntaxError(err, name)
	}
	if !rt.rewrite(stmts) {
		return nil, fmt.Errorf("%s:1: chunk has too many syntax levels", name)
	}
	proto, err := lua.Compile(stmts, name)
	if err != nil {
		return nil, syntaxError(err, name)
	}
	rt.link(proto)
	proto.IsVarArg &^= lua.VarArgNeedsArg // a table of arguments, for each run, that no name leads to
	return &Chunk{proto}, nil
}

// syntaxError writes an error of the parser or compiler as Lua does.
func syntaxError(reason any, name string) error {
	err, ok := reason.(error)
	if !ok {
		return fmt.Errorf("%s:1: %v", name, reason)
	}
	var p *parse.Error
	var c *lua.CompileError
	switch {
	case errors.As(err, &p) && p.Pos.Line == parse.EOF:
		return fmt.Errorf("%s:%d: syntax error near '<eof>'", name, 1)
	case errors.As(err, &p):
		return fmt.Errorf("%s:%d: %s near '%s'", name, p.Pos.Line, p.Message, p.Token)
	case errors.As(err, &c):
		return fmt.Errorf("%s:%d: %s", name, c.Line, c.Message)
	}
	return fmt.Errorf("%s:1: %w", name, err)
}

// slots gathers what is inside an expression or statement: places of expressions, and lists of statements.
type slots struct {
	exprs []*ast.Expr
	lists [][]ast.Stmt
}

func (s *slots) expr(e *ast.Expr) {
	if *e != nil {
		s.exprs = append(s.exprs, e)
	}
}

func (s *slots) all(list []ast.Expr) {
	for i := range list {
		s.expr(&list[i])
	}
}

func (s *slots) block(list []ast.Stmt) { s.lists = append(s.lists, list) }

func (s *slots) inExpr(e ast.Expr) {
	switch e := e.(type) {
	case *ast.AttrGetExpr:
		s.expr(&e.Object)
		s.expr(&e.Key)
	case *ast.TableExpr:
		for _, f := range e.Fields {
			s.expr(&f.Key)
			s.expr(&f.Value)
		}
	case *ast.FuncCallExpr:
		s.expr(&e.Func)
		s.expr(&e.Receiver)
		s.all(e.Args)
	case *ast.LogicalOpExpr:
		s.expr(&e.Lhs)
		s.expr(&e.Rhs)
	case *ast.RelationalOpExpr:
		s.expr(&e.Lhs)
		s.expr(&e.Rhs)
	case *ast.ArithmeticOpExpr:
		s.expr(&e.Lhs)
		s.expr(&e.Rhs)
	case *ast.UnaryMinusOpExpr:
		s.expr(&e.Expr)
	case *ast.UnaryNotOpExpr:
		s.expr(&e.Expr)
	case *ast.UnaryLenOpExpr:
		s.expr(&e.Expr)
	case *ast.FunctionExpr:
		s.block(e.Stmts)
	}
}

func (s *slots) inStmt(st ast.Stmt) {
	switch st := st.(type) {
	case *ast.AssignStmt:
		s.all(st.Lhs)
		s.all(st.Rhs)
	case *ast.LocalAssignStmt:
		s.all(st.Exprs)
	case *ast.FuncCallStmt:
		s.expr(&st.Expr)
	case *ast.DoBlockStmt:
		s.block(st.Stmts)
	case *ast.WhileStmt:
		s.expr(&st.Condition)
		s.block(st.Stmts)
	case *ast.RepeatStmt:
		s.expr(&st.Condition)
		s.block(st.Stmts)
	case *ast.IfStmt:
		s.expr(&st.Condition)
		s.block(st.Then)
		s.block(st.Else)
	case *ast.NumberForStmt:
		s.expr(&st.Init)
		s.expr(&st.Limit)
		s.expr(&st.Step)
		s.block(st.Stmts)
	case *ast.GenericForStmt:
		s.all(st.Exprs)
		s.block(st.Stmts)
	case *ast.FuncDefStmt:
		s.expr(&st.Name.Func)
		s.expr(&st.Name.Receiver)
		s.block(st.Func.Stmts)
	case *ast.ReturnStmt:
		s.all(st.Exprs)
	}
}

// temporary begins the names of locals that no program can name.
const temporary = "(assigned)"

// parted makes an assignment of "and" or "or" to a name one to new locals, and from these to where it goes: the compiler
// forgets to store what the first operand of "a = b() and c" was, if that ends it and a is a local.
func parted(st ast.Stmt) ast.Stmt {
	assign, ok := st.(*ast.AssignStmt)
	if !ok {
		return st
	}
	risky := false
	for i, e := range assign.Rhs {
		_, logical := e.(*ast.LogicalOpExpr)
		risky = risky || logical && i < len(assign.Lhs)
	}
	if !risky {
		return st
	}
	first := &ast.LocalAssignStmt{Exprs: assign.Rhs}
	second := &ast.AssignStmt{Lhs: assign.Lhs}
	for i := range assign.Lhs {
		name := temporary + strconv.Itoa(i)
		value := &ast.IdentExpr{Value: name}
		value.SetLine(st.Line())
		first.Names, second.Rhs = append(first.Names, name), append(second.Rhs, value)
	}
	block := &ast.DoBlockStmt{Stmts: []ast.Stmt{first, second}}
	for _, part := range []ast.Stmt{first, second, block} {
		part.SetLine(st.Line())
		part.SetLastLine(st.LastLine())
	}
	return block
}

// rewrite makes every ".." a call and takes assignments apart where parted says so, without recursion, and reports whether
// nothing nests too deep.
func (rt *Runtime) rewrite(stmts []ast.Stmt) bool {
	type item struct {
		slot  *ast.Expr
		list  []ast.Stmt
		depth int
	}
	todo := []item{{list: stmts}}
	for len(todo) > 0 {
		it := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if it.depth > maxNesting {
			return false
		}
		var s slots
		if it.slot != nil {
			if cat, ok := (*it.slot).(*ast.StringConcatOpExpr); ok {
				*it.slot = rt.concatCall(cat)
			}
			s.inExpr(*it.slot)
		}
		for i, st := range it.list {
			it.list[i] = parted(st)
			s.inStmt(it.list[i])
		}
		for _, e := range s.exprs {
			todo = append(todo, item{slot: e, depth: it.depth + 1})
		}
		for _, l := range s.lists {
			todo = append(todo, item{list: l, depth: it.depth + 1})
		}
	}
	return true
}

// concatCall is a .. b .. c as a call of the function that link puts in the place of the marker.
func (rt *Runtime) concatCall(e *ast.StringConcatOpExpr) ast.Expr {
	marker := &ast.StringExpr{Value: rt.marker}
	marker.SetLine(e.Line())
	call := &ast.FuncCallExpr{Func: marker, AdjustRet: true}
	call.SetLine(e.Line())
	call.SetLastLine(e.Line())
	for {
		call.Args = append(call.Args, e.Lhs)
		next, ok := e.Rhs.(*ast.StringConcatOpExpr)
		if !ok {
			break
		}
		e = next
	}
	call.Args = append(call.Args, e.Rhs)
	switch last := e.Rhs.(type) { // it is one value, not the list of all results
	case *ast.FuncCallExpr:
		last.AdjustRet = true
	case *ast.Comma3Expr:
		last.AdjustRet = true
	}
	return call
}

// link puts the concatenating function in the place of its markers.
func (rt *Runtime) link(p *lua.FunctionProto) {
	for i, k := range p.Constants {
		if s, ok := k.(lua.LString); ok && string(s) == rt.marker {
			p.Constants[i] = rt.concat
		}
	}
	for _, inner := range p.FunctionPrototypes {
		rt.link(inner)
	}
}
