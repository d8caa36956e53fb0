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

// Article has a version, so that two editors do not overwrite each other.
type Article struct {
	Title  string `larder:"title"`
	Author struct {
		Name string `larder:"name"`
		City string `larder:"city"`
	} `larder:"author"`
	Views   int64 `larder:"views"`
	Version int64 `larder:"v,version"`
}

func ExampleHashes_Update() {
	ctx := context.Background()
	db, _ := larder.Open(larder.Options{})
	defer db.Close()
	articles, err := object.New[Article](db, object.Options{Prefix: "article:", TTL: object.NoTTL})
	if err != nil {
		panic(err)
	}
	_ = articles.Save(ctx, "1", &Article{Title: "Lardr"})

	// Only title and author.city are written, if nobody changed the article meanwhile; else it is tried again.
	a, ok, err := articles.Update(ctx, "1", func(a *Article) error {
		a.Title, a.Author.City = "Larder", "Graz"
		return nil
	})
	fmt.Println(a.Title, ok, err)

	mine, _, _ := articles.Load(ctx, "1")
	theirs := mine
	fmt.Println(articles.SaveIf(ctx, "1", &theirs))
	fmt.Println(articles.SaveIf(ctx, "1", &mine))
	// Output:
	// Larder true <nil>
	// <nil>
	// object: save "article:1": the object was changed meanwhile
}

func ExampleCounter() {
	ctx := context.Background()
	db, _ := larder.Open(larder.Options{})
	defer db.Close()
	articles, _ := object.New[Article](db, object.Options{Prefix: "article:", TTL: object.NoTTL})
	views, err := object.NewCounter[Article, int64](articles, "views")
	if err != nil {
		panic(err)
	}
	_ = articles.Save(ctx, "1", &Article{Title: "Larder"})
	_, _, _ = views.Add(ctx, "1", 2)
	n, ok, err := views.Add(ctx, "1", 40)
	fmt.Println(n, ok, err)
	// Output:
	// 42 true <nil>
}
