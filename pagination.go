package kombo

import (
	"context"
	"encoding/json"
	"hash/maphash"
	"iter"
	"net/url"
	"strconv"

	"github.com/kombo-go/kombo/internal/transport"
)

// ListOptions selects the first page of a list and the size of its pages. The zero value is fine.
type ListOptions struct {
	// Cursor is the Next of an earlier page; "" begins with the first page.
	Cursor string
	// PageSize is the number of results in a page; 0 means Kombo's default, 100. Each method says the maximum that Kombo
	// documents.
	PageSize int
}

func (o ListOptions) query(maxPageSize int) (url.Values, error) {
	if o.PageSize < 0 || o.PageSize > maxPageSize {
		return nil, inputError("PageSize is not between 1 and " + strconv.Itoa(maxPageSize) + ", or 0 for the default")
	}
	query := url.Values{}
	if o.Cursor != "" {
		query.Set("cursor", o.Cursor)
	}
	if o.PageSize > 0 {
		query.Set("page_size", strconv.Itoa(o.PageSize))
	}
	return query, nil
}

// Page is one page of a list.
type Page[T any] struct {
	Results []T `json:"results"`
	// Next is the cursor of the next page; "" on the last page.
	Next string `json:"next"`
}

// MarshalJSON writes a page as Kombo does: null if there is no next page, and next_cursor, the deprecated
// twin of next.
func (p Page[T]) MarshalJSON() ([]byte, error) {
	results := p.Results
	if results == nil {
		results = []T{}
	}
	return marshal(struct {
		Results    []T     `json:"results"`
		NextCursor *string `json:"next_cursor"`
		Next       *string `json:"next"`
	}{results, nullable(p.Next), nullable(p.Next)})
}

// resultsOf returns the results of a page, and the cursor of the next.
func resultsOf[T any](page *Page[T], err error) (results iter.Seq2[T, error], next string, _ error) {
	if err != nil {
		return nil, "", err
	}
	return func(yield func(T, error) bool) {
		for _, result := range page.Results {
			if !yield(result, nil) {
				return
			}
		}
	}, page.Next, nil
}

// pageResponse distinguishes what is missing in a page from what is empty or null.
type pageResponse[T any] struct {
	Results *[]T   `json:"results"`
	Next    cursor `json:"next"`
	// NextCursor is the deprecated twin of Next. It is read only if there is no Next: if they differ, Next counts.
	NextCursor json.RawMessage `json:"next_cursor"`
}

// missing also reports a page without a cursor: if it were taken for the last page, the rest of the list
// could be lost.
func (p *pageResponse[T]) missing() string {
	if !p.Next.present {
		_ = json.Unmarshal(p.NextCursor, &p.Next)
	}
	switch {
	case p.Results == nil:
		return "results"
	case !p.Next.present:
		return "next"
	}
	return ""
}

func (p *pageResponse[T]) page() *Page[T] {
	return &Page[T]{Results: *p.Results, Next: p.Next.value}
}

// cursor is the cursor of the next page; it is present and "" on the last one.
type cursor struct {
	value   string
	present bool
}

func (c *cursor) UnmarshalJSON(document []byte) error {
	err := json.Unmarshal(document, &c.value)
	c.present = err == nil
	return err
}

// fetchPage fetches one page of a list of an integration.
func fetchPage[T any](ctx context.Context, s *service, operation transport.Operation, options ListOptions, maxPageSize int, integrationID string) (*Page[T], error) {
	query, err := options.query(maxPageSize)
	response, err := callWith[pageResponse[T]](ctx, s, operation, input{pathValues: []string{integrationID}, query: query, err: err})
	if err != nil {
		return nil, err
	}
	return response.page(), nil
}

// fetchPages returns the results of all pages of a list of an integration. The last of the options counts.
func fetchPages[T any](ctx context.Context, s *service, operation transport.Operation, options []ListOptions, maxPageSize int, integrationID string) iter.Seq2[T, error] {
	var first ListOptions
	if len(options) > 0 {
		first = options[len(options)-1]
	}
	return paginate(operation, first, func(options ListOptions) (iter.Seq2[T, error], string, error) {
		return resultsOf(fetchPage[T](ctx, s, operation, options, maxPageSize, integrationID))
	})
}

// maxEmptyPages ends a list with so many empty pages in a row: during them, the caller cannot break out of the loop.
const maxEmptyPages = 100

// paginate returns the results of all pages, in order. Each page is fetched when its first result is needed.
func paginate[T any](operation transport.Operation, options ListOptions, fetch func(ListOptions) (results iter.Seq2[T, error], next string, err error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		options := options // the sequence can be iterated again
		seed := maphash.MakeSeed()
		seen := map[uint64]bool{maphash.String(seed, options.Cursor): true}
		for pages, empty := 1, 0; ; pages++ {
			results, next, err := fetch(options)
			if err != nil {
				yield(none, err)
				return
			}
			empty++
			for result, err := range results {
				empty = 0
				if !yield(result, err) {
					return
				}
			}
			if next == "" {
				return
			}
			// Store hashes, because cursors can be long.
			hash := maphash.String(seed, next)
			reason := ""
			switch {
			case empty == maxEmptyPages:
				reason = strconv.Itoa(maxEmptyPages) + " pages in a row are empty"
			case seen[hash]:
				reason = "a cursor is repeated"
			}
			if reason != "" {
				yield(none, &Error{
					Op: operation.String(), Attempts: pages, err: &unexpectedError{reason: "the list would never end: " + reason},
				})
				return
			}
			seen[hash] = true
			options.Cursor = next
		}
	}
}
