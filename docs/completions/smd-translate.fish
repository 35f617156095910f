complete -c smd-translate -s m -l mode -d 'How folders are called at either host' -r
complete -c smd-translate -s d -l direction -d 'LR (from names here to the server\'s) or RL' -r
complete -c smd-translate -s V -l version -d 'Print the version'
complete -c smd-translate -s h -l help -d 'Print help'
