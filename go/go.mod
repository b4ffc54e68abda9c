module cella.dev/go

go 1.21
