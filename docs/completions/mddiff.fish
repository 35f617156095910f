complete -c mddiff -l db-file -d 'The snapshot to compare with [db.txt]; FILE.new is written' -r -F
complete -c mddiff -l exclude -d 'Leave these folders alone; as EXCLUDE in a config' -r
complete -c mddiff -l between -d 'Compare two snapshots, each a FILE or a DIR' -r -F
complete -c mddiff -l max-mailno -d 'Accepted, for old scripts' -r
complete -c mddiff -s d -l dry-run -d 'Write no FILE.new'
complete -c mddiff -s l -l list -d 'Print the folders of DIR, or without DIR what FILE holds'
complete -c mddiff -s n -l no-delete -d 'Do not report deletions'
complete -c mddiff -l no-move -d 'Report copies and deletions instead of moves'
complete -c mddiff -l json -d 'Print JSON objects, one on each line'
complete -c mddiff -s v -l verbose -d 'Accepted, for old scripts'
complete -c mddiff -s V -l version -d 'Print the version'
complete -c mddiff -s h -l help -d 'Print help'
