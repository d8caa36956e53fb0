package table
import ("testing";"fmt";"bytes";"github.com/larderdb/larder/internal/mem/arena";"runtime")
func TestGap(t *testing.T){
	before:=residentBytes()
	s:=newShards()
	n:=5000000
	value:=bytes.Repeat([]byte{'v'},32)
	var e Entry; var key []byte
	for i:=range n { key=benchKey(key,11,i); s.set(key,value,&e)}
	var st arena.Stats
	cls:=map[int]arena.ClassStats{}
	for _,a:=range s.arenas { x:=a.Stats(); st.Live+=x.Live; st.Resident+=x.Resident; st.Slabs+=x.Slabs; st.Idle+=x.Idle; st.Mapped+=x.Mapped
		a.Classes(func(c arena.ClassStats){ k:=cls[c.Size]; k.Size=c.Size;k.Slabs+=c.Slabs;k.Pages+=c.Pages;k.Live+=c.Live;k.Free+=c.Free; cls[c.Size]=k})
	}
	per:=func(x int64)float64{return float64(x)/float64(n)}
	fmt.Printf("live %.2f slabs %.2f resident %.2f idle %.2f mapped %.2f rss %.2f\n",per(st.Live),per(st.Slabs),per(st.Resident),per(st.Idle),per(st.Mapped),per(int64(residentBytes()-before)))
	for k:=1;k<200000;k++ { if c,ok:=cls[k];ok { fmt.Printf("%6d slabs %5d pages %6d live %8d free %6d  liveB %.2f freeB %.2f pagesB %.2f\n",k,c.Slabs,c.Pages,c.Live,c.Free,per(int64(c.Live*k)),per(int64(c.Free*k)),per(int64(c.Pages*4096)))}}
	var ms runtime.MemStats; runtime.ReadMemStats(&ms); fmt.Printf("heap %.2f sys %.2f\n",per(int64(ms.HeapAlloc)),per(int64(ms.Sys)))
	s.reset()
}
