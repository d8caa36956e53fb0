package command

const multiplexing = "epoll"
