module github.com/kombo-go/kombo/examples

go 1.26

require github.com/kombo-go/kombo v0.0.0

require (
	github.com/hashicorp/go-cleanhttp v0.5.2 // indirect
	github.com/hashicorp/go-retryablehttp v0.7.8 // indirect
)

replace github.com/kombo-go/kombo => ../
