import { readManifest, datasetPaths } from "./lib/data/manifest.ts"; import { openCache, BatchLoader } from "./lib/data/loader/mod.ts"; import * as A from "./lib/data/augment/mod.ts";
const rows=(await readManifest(datasetPaths("/tmp/augdata").manifest)).filter(r=>r.dex<=Number(Deno.args[1]??151)); const size=Number(Deno.args[0]??64);
let t=performance.now(); using cache=await openCache(rows,{dataFolder:"/tmp/augdata",size}); console.log("open",rows.length,"decoded",cache.decoded,((performance.now()-t)/1000).toFixed(2),"s", (Deno.statSync(cache.path).size/1e6).toFixed(1),"MB");
t=performance.now(); using c2=await openCache(rows,{dataFolder:"/tmp/augdata",size}); console.log("again",c2.decoded,((performance.now()-t)/1000).toFixed(2),"s");
for (const [name,aug] of [["none",A.unchanged()],["light",A.lightAugmentation()],["full",A.fullAugmentation()]] as const) { using l=new BatchLoader(cache,rows,{batchSize:size>100?32:128,size,augmentation:aug,seed:1});
 let n=0; t=performance.now(); let warm=0; for await (const b of l.stream()){ n+=b.labels.length; if(!warm&&performance.now()-t>1000){warm=1;n=0;t=performance.now();} if(warm&&performance.now()-t>4000)break;} console.log(size,name,(n/(performance.now()-t)*1000).toFixed(0),"img/s"); }
Deno.exit(0);
