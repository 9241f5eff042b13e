"""What each command of the terminal does; imported only when it is used."""
