package main

import (
	_ "github.com/mgtv-tech/jetcache-go"
	_ "github.com/mgtv-tech/jetcache-go/remote"
	_ "github.com/redis/go-redis/v9"
)

func main() {}
