package object_test

import (
	"context"
	"fmt"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/object"
)

// User is what the example keeps.
type User struct {
	Name       string    `larder:"name"`
	Email      string    `larder:"email"`
	Plan       string    `larder:"plan"`
	LastActive time.Time `larder:"lastActive,omitempty"`
}

func Example() {
	ctx := context.Background()
	db, err := larder.Open(larder.Options{}) // or larder.Connect(ctx, "redis://localhost:6379")
	if err != nil {
		panic(err)
	}
	defer db.Close()

	users, err := object.New[User](db, object.Options{Prefix: "user:", TTL: time.Hour})
	if err != nil {
		panic(err)
	}
	plan, err := object.NewField[User, string](users, "plan")
	if err != nil {
		panic(err)
	}

	_ = users.Save(ctx, "7", &User{Name: "Ada", Email: "ada@example.com", Plan: "free"})
	_, _ = plan.Set(ctx, "7", "pro") // this field alone

	p, ok, err := plan.Get(ctx, "7")
	fmt.Println(p, ok, err)

	u, ok, err := users.Load(ctx, "7")
	fmt.Println(u.Name, u.Plan, ok, err)

	_, ok, err = users.Load(ctx, "8")
	fmt.Println(ok, err)
	// Output:
	// pro true <nil>
	// Ada pro true <nil>
	// false <nil>
}
